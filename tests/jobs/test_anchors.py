"""Fitted anchors: exact figures, the same shapes however the boxes come, clear refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import calls
from support.sides import naive, random_sides, search_less, write

from fastbox.anchors.extents import Part, Sample
from fastbox.anchors.presets import COMPARED
from fastbox.errors import InputError
from fastbox.jobs.anchors import Fitted, fit_anchors
from fastbox.tables.source import Source

pytest.importorskip("scipy")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    search_less(monkeypatch)


# The job


def test_figures_are_of_every_box(tmp_path: Path) -> None:
    w, h = random_sides(300)
    done: list[int] = []
    found = fit_anchors(write(tmp_path / "t.parquet", w, h), count=3, sample=100, progress=done.append)
    assert sum(done) == 600
    assert (found.boxes, found.used, found.sampled) == (300, 300, 100)
    summary = found.to_dict()
    assert list(summary["sets"]) == [*COMPARED, "k-means", "fitted"]
    for name, coverage in found.sets.items():
        overlaps, indices, fits = naive(w, h, coverage.shapes)
        figures = summary["sets"][name]
        assert figures["count"] == len(coverage.shapes)
        assert figures["recall"] == {"0.5": (overlaps >= 0.5).mean(), "0.7": (overlaps >= 0.7).mean()}
        assert figures["mean_iou"] == pytest.approx(overlaps.mean(), rel=1e-14)
        assert figures["best_possible_recall"] == (fits > 0.25).mean()
        np.testing.assert_array_equal(coverage.counts, np.bincount(indices, minlength=len(coverage.shapes)))
    areas = [anchor["width"] * anchor["height"] for anchor in summary["anchors"]]
    assert areas == sorted(areas)
    assert sum(anchor["share"] for anchor in summary["anchors"]) == pytest.approx(1)
    assert [[anchor["width"], anchor["height"]] for anchor in summary["anchors"]] == found.shapes.tolist()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, threads: Callable[[int], None]) -> None:
    path = write(tmp_path / "t.parquet", *random_sides(300))
    written = []
    for count, rows in ((1, 300), (4, 7), (3, 64)):
        threads(count)
        fit_anchors(path, tmp_path / "out.json", count=2, sample=90, rows=rows, seed=5, against=["yolov5"])
        written.append((tmp_path / "out.json").read_bytes())
    assert written[0] == written[1] == written[2]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.json", "t.parquet"]
    again = fit_anchors(path, count=2, sample=90, seed=6, against=["yolov5"])
    assert again.to_dict() != json.loads(written[0])


def part(rows: np.ndarray) -> Part:
    return Part(len(rows), rows, rows.astype(np.float64), -rows.astype(np.float64), 0, 0, 0, 0)


def test_a_sample_is_the_same_however_it_comes() -> None:
    rows = np.arange(10_000)
    drawn = []
    for cuts in ([], [1, 50, 51, 9000], list(range(100, 10_000, 100))):
        sample = Sample(200, seed=3)
        for piece in np.split(rows, cuts):
            sample.add(part(piece))
        w, h = sample.sides()
        np.testing.assert_array_equal(w, -h)
        drawn.append(w)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert len(np.unique(drawn[0])) == 200
    counts = np.histogram(drawn[0], 10, (0, 10_000))[0]
    assert 5 <= counts.min() <= counts.max() <= 40
    other = Sample(200, seed=4)
    other.add(part(rows))
    assert len(np.intersect1d(other.sides()[0], drawn[0])) < 20
    few = Sample(200, seed=3)
    few.add(part(rows[:5]))
    assert sorted(few.sides()[0]) == [0, 1, 2, 3, 4]


def test_what_cant_be_used_is_counted(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    w = [5, 6, nan, 7, inf, -3, 0, 1, 1.5, 9]
    h = [5, 6, 7, 7, 3, 4, 8, 1, 2, 0]
    found = fit_anchors(write(tmp_path / "t.parquet", w, h), count=1, min_side=2)
    assert (found.boxes, found.used, found.no_area, found.small) == (10, 4, 2, 1)
    assert found.to_dict()["left_out"] == {"not_finite": 2, "inverted": 1, "no_area": 2, "small": 1}
    assert fit_anchors(write(tmp_path / "t.parquet", [1.5] * 3, [2.0] * 3), count=1, min_side=2).used == 3


@pytest.mark.parametrize("layout", ["xywh", "cxcywh", "yxyx", "ragged"])
def test_formats_and_layouts_are_all_the_same(tmp_path: Path, layout: str) -> None:
    w, h = random_sides(90)
    across = np.where(np.arange(90) < 30, 640, 500)
    expected = fit_anchors(write(tmp_path / "t.parquet", w, h, width=across, height=across), count=2, resize=320)
    x = np.arange(90) % 5.0
    path = tmp_path / "other.parquet"
    options: dict[str, Any] = {"format": layout}
    if layout == "ragged":
        corners = np.stack([x, x, x + w, x + h], axis=1).tolist()
        sides = pa.array([640, 500, 500])
        table = {"boxes": [corners[:30], [], corners[30:]], "width": sides, "height": sides}
        options = {}
    else:
        columns = {"xywh": (x, x, w, h), "cxcywh": (x, x, w, h), "yxyx": (x, x, x + h, x + w)}[layout]
        table = {**dict(zip("pqrs", columns, strict=True)), "width": across, "height": across}
        options["boxes"] = "p,q,r,s"
    pq.write_table(pa.table(table), path)
    assert fit_anchors(Source(path, **options), count=2, resize=320).to_dict() == expected.to_dict()


def test_resizing_scales_the_boxes(tmp_path: Path) -> None:
    w, h = random_sides(60)
    plain = fit_anchors(write(tmp_path / "t.parquet", w, h), count=2)
    double = fit_anchors(tmp_path / "t.parquet", count=2, resize="200", size=(100, 60))
    np.testing.assert_allclose(double.shapes, 2 * plain.shapes, rtol=1e-3)
    assert double.sets["fitted"].counts.tolist() == plain.sets["fitted"].counts.tolist()


def test_too_few_shapes_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [3, 3, 4, 4, 4] * 5, [3, 3, 4, 4, 5] * 5)
    with pytest.raises(InputError, match=r"at least 9 boxes of different width or height in .*, got 3: ask for fewer"):
        fit_anchors(path)
    with pytest.raises(InputError, match="got 1 among the 1 sampled"):
        fit_anchors(path, count=2, sample=1)
    found = fit_anchors(path, count=3)
    np.testing.assert_array_equal(found.shapes, [[3, 3], [4, 4], [4, 5]])
    assert found.sets["fitted"].to_dict()["mean_iou"] == 1
    assert fit_anchors(write(path, [5, 5], [5, 5]), count=1).shapes.tolist() == [[5, 5]]


def test_no_boxes_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected boxes to fit anchors to in .*\.parquet, got none"):
        fit_anchors(write(tmp_path / "t.parquet", [], []))
    with pytest.raises(InputError, match=r"got 3, all left out \(1 not finite, 2 no area\)"):
        fit_anchors(write(tmp_path / "t.parquet", [0, 0, float("nan")], [1, 0, 1]))


def test_image_sizes_that_cant_be_are_refused(tmp_path: Path) -> None:
    w, h = random_sides(5)
    path = tmp_path / "t.parquet"
    write(path, w, h, width=[1, 2, 0, 4, 5], height=[1] * 5)
    with pytest.raises(InputError, match=r"image's size above 0 in column 'width', got 0 for box 2"):
        fit_anchors(path, resize=640, rows=2)
    write(path, w, h, width=pa.array([1, None, 3, 4, 5]), height=[1] * 5)
    with pytest.raises(InputError, match=r"column 'width', got nan for box 1"):
        fit_anchors(path, resize=640)
    write(path, w, h, width=["a"] * 5, height=[1] * 5)
    with pytest.raises(InputError, match="expected numbers in the column 'width'"):
        fit_anchors(path, resize=640)
    write(path, w, h)
    with pytest.raises(InputError, match="expected a column 'width'"):
        fit_anchors(path, resize=640)
    pq.write_table(pa.table(dict(zip(("x", "y", "width", "height"), (w, h, w, h), strict=True))), path)
    with pytest.raises(InputError, match=r"separate columns in .*got 'width', which has boxes"):
        fit_anchors(path, resize=640)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "count to be a whole number, 1 or more, got 0"),
        ({"seed": -1}, "seed to be a whole number, 0 or more"),
        ({"sample": 0}, "sample to be"),
        ({"count": 4, "levels": 3}, "as many anchors on each level, got 4 on 3 levels"),
        ({"min_side": float("nan")}, "min_side"),
        ({"against": ["yolov9"]}, "expected presets of .*got 'yolov9'"),
        ({"size": (640, 480)}, "expected resize= with size="),
        ({"size": (640, 0), "resize": 640}, "size of two numbers above 0"),
        ({"resize": "big"}, "expected resize as"),
    ],
)
def test_fit_refuses(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit_anchors(write(tmp_path / "t.parquet", [1], [1]), **options)


def test_an_output_is_no_input_and_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.parquet", [3, 4], [3, 5])
    with pytest.raises(InputError, match=r"is the output for both|choose another output path"):
        fit_anchors(path, path, count=1)
    with pytest.raises(InputError, match=r"expected a folder to write .* in, got: No such file"):
        fit_anchors(path, tmp_path / "none" / "out.json", count=1)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="expected a file to write"):
        fit_anchors(path, tmp_path / "folder", count=1)

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        fit_anchors(path, tmp_path / "out.json", count=1)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "t.parquet"]


# The command


call = partial(calls.call, "anchors")


def refused(*arguments: Any) -> str:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    return result.stderr


def test_the_command_prints_what_the_job_found(tmp_path: Path) -> None:
    w, h = random_sides(100)
    path = write(tmp_path / "t.parquet", [*w, 0], [*h, 1], width=[640] * 101, height=[480] * 101)
    options = ("--count", 3, "--resize", 640, "--min-side", 2, "--against", "yolov5", "--seed", 2)
    shown = call(path, *options, "-o", tmp_path / "out.json").stdout
    found = fit_anchors(path, count=3, resize="640", min_side=2, against=["yolov5"], seed=2)
    assert f"3 anchors fitted to {found.used} boxes" in shown
    assert "images resized to 640" in shown
    assert "left out: 1 without an area" in shown
    for line in found.to_dict()["config"]["yolo"].splitlines():
        assert line in shown
    for title in ("yolov5", "k-means", "fitted", "mmdetection", "detectron2", "torchvision"):
        assert title in shown
    assert "retinanet" not in shown
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["command"] == "anchors"
    assert {name: summary[name] for name in found.to_dict()} == json.loads(json.dumps(found.to_dict()))
    assert json.loads(call(path, *options, "--json").stdout) == json.loads(json.dumps({"schema": 1, **found.to_dict()}))


def test_the_command_takes_sizes_and_formats(tmp_path: Path) -> None:
    w, h = random_sides(60)
    path = write(tmp_path / "t.parquet", w, h, wide=[50] * 60, tall=[100] * 60)
    one = json.loads(call(path, "--count", 2, "--resize", "50x50", "--size", "50X100", "--json").stdout)
    two = json.loads(call(path, "--count", 2, "--resize", "50x50", "--size-columns", "wide,tall", "--json").stdout)
    rules = [found.pop("rules") for found in (one, two)]
    assert [found["image_size"] for found in rules] == [[50, 100], None]
    assert [found["size_columns"] for found in rules] == [None, ["wide", "tall"]]
    assert one == two
    wider = json.loads(call(path, "--count", 1, "--box", "xmin,ymin,xmax,ymax", "--format", "xywh", "--json").stdout)
    assert wider["anchors"][0]["width"] > 1
    assert "1 anchor fitted" in call(path, "--count", 1).stdout


def test_the_command_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.parquet", [3, 4], [3, 5])
    assert "ask for fewer" in refused(path)
    assert "expected --resize with --size" in refused(path, "--size", "640x480")
    assert "expected WIDTHxHEIGHT" in refused(path, "--resize", 640, "--size", "640")
    assert "expected resize as 640" in refused(path, "--resize", "large")
    assert "got 4 on 3 levels" in refused(path, "--count", 4, "--levels", 3)
    assert "min_side" in refused(path, "--min-side", "nan")
    assert "got no file" in refused(tmp_path / "none.parquet")
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    assert "pip install 'fastbox-engine[optimize]'" in refused(path, "--count", 1)


def test_a_plain_terminal_gets_plain_letters(tmp_path: Path) -> None:
    from rich.console import Console

    from fastbox.report.terminal.fitted import show_fitted

    found: Fitted = fit_anchors(write(tmp_path / "t.parquet", [3, 4], [3, 5]), count=1)
    with (tmp_path / "shown.txt").open("w", encoding="ascii", errors="replace") as file:
        show_fitted(Console(file=file, width=80), found.to_dict())
    shown = (tmp_path / "shown.txt").read_text()
    assert ">= 0.50" in shown
    assert "< 4x" in shown
