"""The result of `fastbox bench`: in a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from fastbox.report.numbers import NONE, counted, times
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_table

__all__ = ["markdown_of", "show_benchmarked"]


def show_benchmarked(console: Console, summary: Mapping[str, Any]) -> None:
    """Print a row for each kind of work, and in lines below it what the table can't say."""
    head, *rows = _cells(summary)
    *figures, _ = zip(head, *rows, strict=True)
    show_table(console, list(zip(*figures, strict=True)), (head[-2],))
    console.print()
    console.print(Text("times as fast as", style="bold"))
    width = max(len(row[0]) for row in rows)
    for row in rows:
        if row[-1]:
            lines = wrap(row[-1], max(console.width - width - 2, 20))
            console.print(Text(row[0].ljust(width), style="bold").append(f"  {lines[0]}", style="not bold"))
            for line in lines[1:]:
                console.print(Text(f"{'':{width}}  {line}"))
    console.print(Text(_machine(summary), style="dim"))
    for line in _notes(summary):
        console.print(Text(line, style="yellow" if "different" in line else "dim"))


def markdown_of(summary: Mapping[str, Any]) -> str:
    """Return the table as Markdown, below a line about the machine."""
    head, *rows = _cells(summary)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join([_machine(summary), "", *lines, "", *(f"{line}\n" for line in _notes(summary))])


def _cells(summary: Mapping[str, Any]) -> list[list[str]]:
    threads = summary["machine"]["threads"]
    counts = ["1", *([str(threads)] if threads > 1 else [])]
    titles = ["1 thread", f"{threads} threads"]
    head = ["work", "size", *titles[: len(counts)], "times as fast as"]
    return [
        head,
        *(
            [row["work"], row["size"], *(_seconds(row["seconds"].get(count)) for count in counts), _peers(row)]
            for row in summary["rows"]
        ),
    ]


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    scale, unit = next((s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if seconds * s >= 1 or u == "µs")
    return f"{seconds * scale:.3g} {unit}"


def _peers(row: Mapping[str, Any]) -> str:
    """Return each peer with its ratio; once more where it ran on several threads too."""
    seen: set[str] = set()
    parts = []
    for peer in row["peers"]:
        again = peer["name"] in seen
        name = f"on {peer['threads']} threads" if again else peer["name"]
        parts.append(f"{name} {times(peer['times'])}")
        seen.add(peer["name"])
    return ", ".join(parts)


def _machine(summary: Mapping[str, Any]) -> str:
    machine = summary["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = f"{machine['processor']}, {machine['processors']} processors, {machine['system']}"
    return f"{where}; Python {machine['python']}, {versions}"


def _notes(summary: Mapping[str, Any]) -> list[str]:
    rounds = [row["rounds"] for row in summary["rows"]]
    low, high = min(rounds), max(rounds)
    many = counted(low, "rounds") if low == high else f"{low} to {high} rounds"
    notes = [f"medians of {many}; each peer on as many threads as fastbox"]
    differ = [row for row in summary["rows"] if row["differ"]]
    notes += [f"{row['work']}: different results from {', '.join(row['differ'])}, not measured" for row in differ]
    return notes + ([f"not installed: {', '.join(summary['missing'])}"] if summary["missing"] else [])
