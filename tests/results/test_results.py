"""Results in a notebook: shown, drawn, and as tables for Arrow, pandas and polars."""

from __future__ import annotations

import dataclasses
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.paths import DATA

import fastbox
from fastbox import InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.result import Result

DETECTIONS, TRUTHS = DATA / "detections.parquet", DATA / "truths.parquet"
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</td></style>", "$\\frac$", "é" * 10_000)
RESULTS = {
    "measure": lambda: jobs.measure(DATA / "pairs.parquet"),
    "pairs": lambda: jobs.pairs(DETECTIONS, TRUTHS),
    "nms": lambda: jobs.nms(DETECTIONS),
    "assign": lambda: jobs.assign(
        TRUTHS, AnchorGrid.preset("retinanet"), resize=Resize("none", 320, 320), class_column="category_id"
    ),
    "evaluate": lambda: jobs.evaluate(DETECTIONS, TRUTHS),
    "models": lambda: jobs.evaluate(models(), TRUTHS, by="model"),
    "inspect": lambda: jobs.inspect(TRUTHS),
    "anchors": lambda: jobs.fit_anchors(TRUTHS, count=3),
    "fuse": lambda: jobs.fuse([DETECTIONS, DETECTIONS]),
    "disagreement": lambda: jobs.disagreement(DATA / "pairs.parquet"),
}
FIRST = {
    "measure": "rows 1,277",
    "pairs": "pairs 1,222 ",
    "nms": "kept 1,764 ",
    "assign": "mean best IoU 0.",
    "evaluate": "AP 0.4518 ",
    "models": "best AP 0.4518 · model two ",
    "inspect": "errors 0 · warnings 2 ",
    "anchors": "mean best IoU 0.",
    "fuse": "fused 1,780 ",
    "disagreement": "pairs 1,277 ",
}
DRAWN = ("measure", "pairs", "evaluate", "models", "inspect")  # with histograms or curves


class Elements(HTMLParser):
    """The names of elements and their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


SLOW = ("anchors", "assign")  # without compiling


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.jit] if name in SLOW else []) for name in RESULTS]
)
def named(request: pytest.FixtureRequest) -> tuple[str, Result]:
    """A result with the name of its job."""
    return request.param, RESULTS[request.param]()


@pytest.fixture
def result(named: tuple[str, Result]) -> Result:
    return named[1]


def models() -> pa.Table:
    """Detections of two models, of which the second has all of the sample, and the first half of it."""
    table = pq.read_table(DETECTIONS)
    own = {"one": table.slice(0, len(table) // 2), "two": table}
    parts = [part.append_column("model", pa.array([name] * len(part))) for name, part in own.items()]
    return pa.concat_tables(parts).sort_by("image_id")


def test_every_result_is_shown_in_html(result: Result) -> None:
    shown = Elements(result._repr_html_())
    assert shown.names <= {"style", "strong", "table", "thead", "tbody", "tr", "th", "td", "div", "code"}
    assert shown.attributes <= {"class"}
    assert type(result).__name__ in shown.text


def test_every_result_is_shown_in_twenty_lines_the_figure_first(named: tuple[str, Result]) -> None:
    name, result = named
    text, html = repr(result), result._repr_html_()
    assert len(text.splitlines()) <= 20
    assert html.count("<tr>") + html.count("<div>") + 1 <= 20
    assert max(map(len, text.splitlines())) <= 130
    assert text.startswith(f"{type(result).__name__}: {FIRST[name]}")
    figures = FIRST[name].replace(" · ", "").replace(" ", "")
    assert Elements(html).text.replace(" ", "").split(type(result).__name__)[1].startswith(figures)
    assert result.main in result.tables()


def test_what_was_not_measured_is_a_dash() -> None:
    found = fastbox.evaluate([[0, 0, 50, 50]], [0.5], [[0, 0, 50, 50]], classes=[1], truth_classes=[1])
    assert found.stats()["AP_large"] == -1
    (row,) = found.to_arrow("by_class").to_pylist()
    assert row["AP_large"] == -1
    for shown in (found._repr_html_(), repr(found)):
        assert "–" in shown and "-1" not in shown
    giou = jobs.measure({"pred": [[0.0, 0, 1, 1]], "target": [[9e30, 9e30, 9e30, 9.1e30]]}, metrics=["giou"])
    assert giou.metrics["giou"].mean == -1
    assert "-1" in repr(giou)


def test_metrics_and_gradients_are_rows_of_one_table() -> None:
    found = jobs.measure(DATA / "pairs.parquet", metrics=["iou", "iou_loss"], grad=True)
    assert [row["name"] for row in found.tables()["metrics"]] == ["iou", "iou_loss", "iou_loss_grad"]
    assert set(found.tables()["summary"][0]) == {"rows"}
    assert found.to_arrow().column_names[-1] == "zero"


@pytest.mark.slow
def test_every_table_goes_to_arrow_pandas_and_polars(result: Result) -> None:
    tables = result.tables()
    assert len(tables["summary"]) == 1
    assert result.main in tables
    for name, rows in tables.items():
        arrow = result.to_arrow(name)
        assert arrow.num_rows == len(rows)
        frame, other = result.to_pandas(name), result.to_polars(name)
        assert list(frame.columns) == other.columns == arrow.column_names
        assert len(frame) == other.height == len(rows)
        for row, got in zip(rows, arrow.to_pylist(), strict=True):
            assert all(got[key] == value or str(value) == got[key] for key, value in row.items())
    assert result.to_arrow().equals(result.to_arrow(result.main))
    with pytest.raises(ValueError, match="expected a table of summary"):
        result.to_arrow("nothing")


@pytest.mark.slow
def test_what_has_histograms_is_drawn_with_one_call(named: tuple[str, Result]) -> None:
    name, result = named
    if name not in DRAWN:
        with pytest.raises(InputError, match="expected something to draw"):
            result.plot()
        return
    figure = result.plot()
    assert figure._repr_png_()[:4] == b"\x89PNG"
    titles = [axes.get_title("left") for axes in figure.axes if axes.get_visible()]
    assert len(set(titles)) == len(titles)


def test_all_jobs_give_results() -> None:
    for name in jobs.__all__:
        kind = getattr(jobs, name)
        if dataclasses.is_dataclass(kind) and hasattr(kind, "to_dict"):
            assert issubclass(kind, Result), name


def test_tables_hold_the_figures() -> None:
    found = jobs.pairs(DETECTIONS, TRUTHS, metrics=["iou", "giou"])
    frame = found.to_pandas()
    assert frame["name"].tolist() == ["iou", "giou"]
    assert frame["mean"].tolist() == [found.metrics["iou"].mean, found.metrics["giou"].mean]
    assert frame["p50"].tolist() == [found.metrics["iou"].quantile(0.5), found.metrics["giou"].quantile(0.5)]
    bins = found.to_polars("histograms")
    assert bins.filter(bins["name"] == "iou")["count"].sum() == found.pairs
    assert found.to_pandas("invalid").set_index("name").loc["detections", "inverted"] == 0


@pytest.mark.slow
def test_an_evaluation_of_arrays_is_shown_too(tmp_path: Path) -> None:
    boxes = np.random.default_rng(1).uniform(0, 9, (30, 4)) + np.array([0, 0, 9, 9])
    found = fastbox.evaluate(boxes, np.linspace(0, 1, 30), boxes + 1, classes=[3] * 30, truth_classes=[3] * 30)
    assert found.to_pandas()["AP"].tolist() == [found.stats()["AP"]]
    assert found.to_polars("summary")["stats_AP"].to_list() == [found.stats()["AP"]]
    assert found.tables()["by_class"][0]["truths"] == found.to_arrow().to_pylist()[0]["truths"] == 30
    assert "Evaluation" in Elements(found._repr_html_()).text
    assert found.plot()._repr_png_()[:4] == b"\x89PNG"
    found.report(tmp_path / "r.html")
    assert found.to_dict()["truths"] == 30
    runs = ["one", "two"] * 15
    found = fastbox.evaluate(
        boxes, np.linspace(0, 1, 30), boxes + 1, classes=[3] * 30, truth_classes=[3] * 30, models=runs
    )
    assert found.to_pandas()["name"].tolist() == ["one", "two"]
    assert found.to_pandas()["stats_AP"].tolist() == [found.stats(run)["AP"] for run in ("one", "two")]
    assert "two" in Elements(found._repr_html_()).text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 50, (40, 2))
    corners = np.hstack((corner, corner + 9))
    names = [HOSTILE[k % len(HOSTILE)] for k in range(40)]
    table = pa.table(
        {"image_id": np.arange(40) // 5, "bbox": corners.tolist(), "category_id": names, "score": [0.5] * 40}
    )
    pq.write_table(table, tmp_path / "boxes.parquet")
    for found in (jobs.inspect(tmp_path / "boxes.parquet"), jobs.evaluate(*[tmp_path / "boxes.parquet"] * 2)):
        for main in ("summary", "classes", "by_class"):
            found.MAIN = main  # type: ignore[misc]
            shown = Elements(found._repr_html_())
            assert not shown.names & {"script", "img"}
            assert shown.attributes <= {"class"}
            assert len(shown.text) < 20_000
    precision = found.to_dict()["curves"]["precision"]
    lines = found.plot().axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == list(precision.values())[::3]
    assert found.plot()._repr_png_()[:4] == b"\x89PNG"


@pytest.mark.parametrize("missing", ["pandas", "polars"])
def test_a_missing_library_is_one_sentence(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = jobs.Suppressed(images=1)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=f"pip install {missing}"):
        getattr(found, f"to_{missing}")()


@pytest.mark.slow
def test_a_page_can_be_written_from_a_result(tmp_path: Path) -> None:
    for name in ("inspect", "evaluate"):
        found: Any = RESULTS[name]()
        found.report(tmp_path / f"{name}.html")
        assert "<title>" in (tmp_path / f"{name}.html").read_text()
    with pytest.raises(InputError, match="got Suppressed"):
        jobs.Suppressed().report(tmp_path / "none.html")
