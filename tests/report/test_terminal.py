"""What a person sees: one table, charts side by side, nothing cut off."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from fastbox.losses.figures import edges_of, unit_of
from fastbox.report.terminal import summary as terminal
from fastbox.sketch import Sketch


def metrics(**values: Any) -> dict[str, Any]:
    found = {}
    for name, given in values.items():
        sketch = Sketch()
        sketch.add(given)
        found[name] = {"unit": unit_of(name), **sketch.to_dict(edges_of(name))}
    return found


def measured(**values: Any) -> dict[str, Any]:
    none = {"not_finite": 0, "inverted": 0}
    return {"rows": 1000, "invalid": {"pred": none, "target": none}, "metrics": metrics(**values)}


def shown(show: Callable[..., None], *what: Any, width: int = 80, **options: Any) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    show(Console(file=file, width=width, highlight=False, **options), *what)
    file.seek(0)
    return file.read()


RNG = np.random.default_rng(0)
SIMILAR = {name: RNG.beta(3, 1, 500) for name in ("iou", "iof", "ios", "giou", "diou")}
DISTANT = {name: RNG.lognormal(3, 2, 500) for name in ("l1", "smooth_l1")}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("names", [("iou",), ("iou", "giou", "smooth_l1"), (*SIMILAR, *DISTANT)])
def test_it_fits_and_nothing_is_cut(width: int, names: tuple[str, ...]) -> None:
    text = shown(terminal.show_measured, measured(**{n: (SIMILAR | DISTANT)[n] for n in names}), width=width)
    assert all(len(line) <= width for line in text.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines())
    head = next(line for line in text.splitlines() if line.startswith("metric"))
    rows = [line for line in text.splitlines() if line.split(" ")[0].rstrip(",") in names and "500" in line]
    assert len(rows) == len(names)
    assert {len(row) for row in rows} == {len(head)}
    assert not any("…" in row for row in rows)


def test_great_numbers_are_not_cut() -> None:
    summary = measured(iou=[0.5], smooth_l1=[123456.789, 1e300, 3.0, 1000.0])
    for metric in summary["metrics"].values():
        metric["count"] = 80_000_000_000
    text = shown(terminal.show_measured, summary)
    assert text.count("80,000,000,000") >= 2
    assert "1e+300" in text
    assert "…" not in text


def test_decimals_stand_below_each_other() -> None:
    text = shown(terminal.show_measured, measured(iou=[0, 1, 0.25], smooth_l1=[0.0155, 1909.3, 26]))
    rows = [line.split()[-6:] for line in text.splitlines() if line.startswith(("iou ", "smooth_l1, px "))][:2]
    assert [[len(figure.split(".")[1]) for figure in row] for row in rows] == [[4] * 6, [2] * 6]


def test_charts_stand_side_by_side() -> None:
    summary = measured(**{name: SIMILAR[name] for name in ("iou", "iof", "ios")})
    assert "iou                 iof                 ios" in shown(terminal.show_measured, summary)
    wide = shown(terminal.show_measured, summary, width=120).splitlines()
    assert f"iou{' ' * 33}iof{' ' * 33}ios" in wide
    assert f"0{' ' * 14}0.5{' ' * 13}1" in wide[-1]


def test_distances_are_in_pixels_without_empty_ends() -> None:
    text = shown(terminal.show_measured, measured(smooth_l1=[3.0, 3.0, 5.0, 20.0]))
    assert text.splitlines()[-6:] == ["smooth_l1, px", "██", "██", "████  ██", "████  ██", "2   8 32"]


def graded(zero: int, **values: Any) -> dict[str, Any]:
    """A summary of losses and their gradients; of each gradient so many are zero."""
    summary = measured(**values)
    for name, metric in summary["metrics"].items():
        if name.endswith("_grad"):
            metric["zero"] = zero
    return summary


def test_gradients_have_a_table_of_their_own() -> None:
    lengths = np.concatenate([np.zeros(5), RNG.lognormal(-5, 1, 495)])
    losses = {"iou_loss": SIMILAR["iou"], "smooth_l1_loss": DISTANT["l1"]}
    text = shown(
        terminal.show_measured, graded(5, **losses, iou_loss_grad=lengths, smooth_l1_loss_grad=np.full(500, 1.5))
    )
    assert all(len(line) <= 80 for line in text.splitlines())
    values, gradients = text.split("gradient length")
    assert "smooth_l1_loss, px" in values
    assert "iou_loss, px" not in text
    assert "iou_loss, 1/px" not in values
    rows = [line.split() for line in gradients.splitlines()]
    assert rows[2][:4] == ["iou_loss,", "1/px", "5", "(1.00%)"]
    assert rows[3] == ["smooth_l1_loss", "5", "(1.00%)", *["1.50000"] * 5]
    assert "px" not in " ".join(gradients.replace("1/px", "").split())


def test_gradients_of_millions_of_rows_fit() -> None:
    names = ("ciou_loss_grad", "smooth_l1_loss_grad")
    summary = graded(1_234_567, **{name: RNG.lognormal(-5, 1, 500) for name in names})
    for metric in summary["metrics"].values():
        metric["count"] = 5_000_000
    lines = shown(terminal.show_measured, summary).splitlines()
    assert sum("1,234,567 (24.69%)" in line for line in lines) == 2
    # The charts hold 500 values, so that most are not in them.
    assert all(len(line) <= 80 for line in lines if not line.startswith("not in the charts"))


def test_every_bin_with_a_value_is_seen() -> None:
    text = shown(terminal.show_measured, measured(iou=[0.99] * 10_000 + [0.1]))
    columns = ["██" if k == 15 else "▁▁" if k == 1 else "  " for k in range(16)]
    assert text.splitlines()[-5:-1] == [28 * " " + "  ██"] * 3 + ["".join(columns)]
    even = shown(terminal.show_measured, measured(iou=[0.99] * 4 + [0.1] * 2 + [0.55]))
    heights = ["  ".join(line[k] for k in (2, 16, 30)) for line in even.splitlines()[-5:-1]]
    assert heights == ["      █", "      █", "█     █", "█  █  █"]  # half of the rows, a quarter, and all


def test_what_no_chart_shows_is_said() -> None:
    text = shown(terminal.show_measured, measured(eiou=[-2.5, -1.5, 0.5], l1=[20_000.0, 1.0]))
    assert text.splitlines()[-1] == "not in the charts: 2 eiou below -1, 1 l1 16,384 px and more"
    text = shown(terminal.show_measured, graded(0, eiou_loss=[1.0, 3.5, 0.5], eiou_loss_grad=[16.5, 1.0, 0.0]))
    said = [line for line in text.splitlines() if line.startswith("not in")]
    assert said == ["not in the charts: 1 eiou_loss 2 and more", "not in the charts: 1 eiou_loss 16/px and more"]


def test_what_has_no_figure_has_a_dash() -> None:
    text = shown(terminal.show_measured, measured(l1=[np.inf, np.inf]))
    assert text.splitlines()[4].split()[2:] == ["2", *"––––––"]


def test_nothing_is_said_in_words() -> None:
    assert shown(terminal.show_measured, measured(iou=[]) | {"rows": 0}) == (
        "0 rows\nno row with two valid boxes, so no figures\n"
    )
    none = {"not_finite": 0, "inverted": 0}
    summary: Mapping[str, Any] = {"images": 3, "detections": 9, "pairs": 0, "unmatched": 9, "invalid": {"d": none}}
    assert shown(terminal.show_paired, summary | {"metrics": metrics(iou=[])}) == (
        "0 pairs; 9 of 9 boxes unmatched\n3 images · 9 boxes\nno pairs, so no figures\n"
    )


def test_invalid_boxes_are_told_by_side_and_reason() -> None:
    summary = measured(iou=[0.5])
    summary["invalid"] = {"pred": {"not_finite": 1234, "inverted": 0}, "target": {"not_finite": 0, "inverted": 2}}
    assert "invalid boxes: 1,234 pred not finite, 2 target inverted" in shown(terminal.show_measured, summary)


def test_counts_and_outputs_are_named() -> None:
    converted = partial(terminal.show_counts, "converted")
    text = shown(converted, {"kind": "truths", "rows": 1200, "images": 9, "images_without_boxes": 3})
    assert text == "converted truths: 1,200 rows · 9 images (3 without boxes)\n"
    text = shown(converted, {"images": 9, "images_without_boxes": 3, "images_left_out": 3})
    assert text == "converted: 9 images (3 without boxes) · 3 images left out\n"
    text = shown(converted, {"kind": "truths", "rows": 1, "categories": 1})
    assert text == "converted truths: 1 row · 1 category\n"
    long = "/a" * 60 + "/o [x].parquet"
    assert shown(terminal.show_outputs, [long, "b"]) == f"→ {long}\n→ b\n"


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    summary = measured(iou=[0.5])
    assert "\x1b[36m" in shown(terminal.show_measured, summary, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[36m" not in shown(terminal.show_measured, summary, force_terminal=True, color_system="standard")


def test_charts_are_for_those_who_can_show_them() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="replace")
    terminal.show_measured(Console(file=file, width=80), measured(iou=[0.5]))
    file.seek(0)
    assert "0.5000" in (text := file.read())
    assert "█" not in text and "?" not in text


def test_an_assignment_fits_eighty_columns() -> None:
    from fastbox.jobs.assign import Assigned
    from fastbox.report.terminal.assigned import show_assigned

    found = Assigned((8, 16, 32, 64, 128), images=4952, truths=36781)
    found.level_anchors += np.array([631_505_991, 157_394_871, 38_931_673, 9_838_899, 2_637_824])
    found.positives += 193_050
    values = np.linspace(0, 1, 1000).astype(np.float32)
    areas, classes = np.linspace(1, 20000, 1000), np.arange(1000) % 90
    found.coverage.add(values, values > 0.4, areas, np.stack([areas, areas], axis=1) ** 0.5, classes, range(90))
    text = shown(show_assigned, found.to_dict())
    assert max(map(len, text.splitlines())) <= 80
    assert "965,250 positives" in text
    assert "≥ 0.50" in text
    assert "400 truths (40.00%) without a positive anchor" in text
