"""The tables of processes beside other libraries, small: every row runs, and the figures agree."""

from __future__ import annotations

from bench import processes
from bench.support.shapes import Sizes


def test_tables_have_a_row_for_each_evaluator_and_work() -> None:
    figures, memory = processes.files_to_figures(Sizes(True), 1), processes.memory_of_calls(Sizes(True), 1)
    assert {"fastbox, kernels compiled before", "pycocotools"} <= {row[0] for row in figures[1:]}
    assert [row[0] for row in memory[1:]] == list(processes.calls.WORKS)
    assert all(len(row) == len(memory[0]) and row[2].endswith("MiB") for row in memory[1:])
    text = processes.page(figures, memory, 1, "A note.")
    assert "fastbox" in text.splitlines()[0] and text.splitlines()[0].endswith("A note.")
