"""The text of an evaluation: which classes are ranked, their best scores, and truths counted to the last one."""

from __future__ import annotations

import io
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.paths import ROOT

from fastbox import jobs
from fastbox.evaluation import Params
from fastbox.report.page.contents import Table
from fastbox.report.terminal.classes import show_classes
from fastbox.report.terminal.evaluated import show_evaluated

TABLES = str(ROOT / "data" / "detections.parquet"), str(ROOT / "data" / "truths.parquet")
AREAS = {"all": (0, 1e10), "small": (0, 1024), "medium": (1024, 9216), "large": (9216, 1e10)}


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return jobs.evaluate(*TABLES, confusion_iou=0.5).to_dict()


def shown(summary: dict[str, Any], width: int = 80) -> list[str]:
    stream = io.StringIO()
    show_evaluated(Console(file=stream, width=width), summary)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def some_classes(counts: list[int], width: int = 80, name: str = "thing", f: float = 0.5) -> list[str]:
    """Classes that are better the fewer truths they have, as the terminal shows them."""
    errors = {"matched": 0, "ignored": 0, "missed": 0, "background": 1}
    classes = [
        {"class": k, "name": f"{name} {k}", "truths": n, "AP": 1 / n, "errors": errors, "best": {"score": 0.25, "f": f}}
        for k, n in enumerate(counts)
    ]
    stream = io.StringIO()
    show_classes(Console(file=stream, width=width), {"by_class": classes, "operating_points": {"beta": 1.0}}, ["AP"])
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_classes_with_few_truths_are_not_ranked() -> None:
    lines = some_classes([1, 2, 9, *range(10, 22)])
    assert [line.split()[1] for line in lines[3:8]] == ["3", "4", "5", "6", "7"]
    assert "3 classes with fewer than 10 truths are left out here" in lines
    assert not any(line.startswith("thing 0") for line in lines)


def test_few_classes_with_enough_truths_are_ranked_with_the_others() -> None:
    lines = some_classes([1, 2, *range(10, 19)])
    assert lines[3].startswith("thing 0") and not any("left out" in line for line in lines)
    alone = some_classes([1, 20])
    assert [line.split()[:2] for line in alone[3:5]] == [["thing", "0"], ["thing", "1"]]
    assert some_classes([4]) == []


def test_long_names_of_classes_fit_the_terminal() -> None:
    lines = some_classes([11, 12], name="a very long name of a class of things that nobody else has heard of")
    assert max(map(len, lines)) <= 80 and "…" in lines[3]


def test_a_class_without_a_match_has_no_best_score() -> None:
    assert "0.250" in some_classes([11, 12])[3] and "0.250" not in "".join(some_classes([11, 12], f=0.0))


def test_each_class_has_its_best_score(summary: dict[str, Any]) -> None:
    lines = shown(summary)
    head = next(line for line in lines if line.startswith("class ") and "best score" in line)
    assert head.split("  ")[-1] == "most common error"
    best = max((row for row in summary["by_class"] if row["truths"] >= 10), key=lambda row: row["AP"])
    first = lines[lines.index(head) + 2].split()
    assert f"{best['best']['score']:.3f}" in first and str(best["truths"]) in first
    page = jobs.evaluate(*TABLES).page()
    (section,) = (section for section in page.sections if section.title == "Choice of a score")
    (table,) = (part for part in section.parts if isinstance(part, Table))
    assert [column.title for column in table.columns] == ["class", "truths", "best score", "precision", "recall", "F1"]
    rows = sorted(summary["by_class"], key=lambda row: -row["truths"])
    assert list(table.columns[2].keys or ()) == [row["best"]["score"] for row in rows]


def test_every_truth_is_matched_nearly_detected_or_missed(summary: dict[str, Any]) -> None:
    truths = pq.read_table(TABLES[1]).to_pylist()
    known = [row for row in truths if not row["iscrowd"]]
    errors = summary["errors"]
    assert errors["truths"] == len(known)
    matched, missed = errors["counts"]["matched"], errors["counts"]["missed"]
    nearly = len(known) - matched - missed
    assert 0 < nearly <= errors["counts"]["localization"] + errors["counts"]["classification"]
    said = f"of {len(known):,} truths: {matched} matched, {nearly} with a nearly right detection, {missed} missed"
    assert said in shown(summary)


def test_truths_are_counted_by_size(summary: dict[str, Any]) -> None:
    truths = pq.read_table(TABLES[1]).to_pylist()
    for name, (low, high) in AREAS.items():
        own = summary["matched"]["by_size"][name]
        assert own["truths"] == sum(not row["iscrowd"] and low <= row["area"] <= high for row in truths)
        assert own["pairs"] <= own["truths"]
    head = next(line for line in shown(summary) if line.startswith("size"))
    assert head.index("truths") < head.index("matched")
    voc = jobs.evaluate(*TABLES, params=Params(rule="voc12")).to_dict()["matched"]["by_size"]
    assert [own["truths"] for own in voc.values()] == [summary["errors"]["truths"]]


def test_the_last_line_names_what_was_not_asked(summary: dict[str, Any]) -> None:
    ended = "confusion of classes: --confusion-iou 0.5; plots: --report page.html"
    assert ended not in shown(summary)
    assert shown({name: own for name, own in summary.items() if name != "confusion"})[-1] == ended
    score = summary["confusion"]["score"]
    assert f"background here: missed at score ≥ {score:.3f}; above, missed at any score" in shown(summary)


def test_errors_name_their_rule_where_the_figures_have_another(summary: dict[str, Any]) -> None:
    """Errors are TIDE's for every rule: a strict rule, whose header says ``>``, would contradict a bare ``≥``."""
    assert any(line.startswith("at IoU ≥ 0.50; ΔAP50") for line in shown(summary))
    strict = summary | {"rules": summary["rules"] | {"rule": "voc07", "strict": True}}
    assert any(line.startswith("at IoU ≥ 0.50 (TIDE's rule); ΔAP50") for line in shown(strict))
