"""Fitted anchors: exact figures, the same shapes however the boxes come, lines that detectors read, clear refusals."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import fastbox
from fastbox.anchors import AnchorGrid
from fastbox.anchors import fitting as shapes
from fastbox.anchors.configs import configs, default_levels
from fastbox.anchors.extents import Part, Sample
from fastbox.anchors.presets import COMPARED, DETECTORS, PRESETS
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.errors import InputError
from fastbox.jobs.anchors import Fitted, fit_anchors
from fastbox.tables.source import Source

pytest.importorskip("scipy")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search less: what is found may be worse, and all else is the same."""
    for name, value in {"RESTARTS": 2, "POPULATION": 8, "GENERATIONS": 5}.items():
        monkeypatch.setattr(shapes, name, value)


def random_sides(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.rint(np.exp(rng.normal(3, 1, n)) + 1), np.rint(np.exp(rng.normal(3, 1, n)) + 1)


def boxes_of(w: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Corners of boxes centred on one point."""
    return np.stack([-w / 2, -h / 2, w / 2, h / 2], axis=1)


def write(path: Path, w: Any, h: Any, **more: Any) -> Path:
    w, h = np.asarray(w, np.float64), np.asarray(h, np.float64)
    xmin = np.arange(len(w)) % 7.0
    table = {"xmin": xmin, "ymin": xmin, "xmax": xmin + w, "ymax": xmin + h}
    pq.write_table(pa.table({**table, **more}), path, row_group_size=50)
    return path


def naive(w: np.ndarray, h: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best IoU, its shape and the best fit of each box."""
    inter = np.minimum(w[:, None], own[:, 0]) * np.minimum(h[:, None], own[:, 1])
    overlaps = inter / (w[:, None] * h[:, None] + own[:, 0] * own[:, 1] - inter)
    ratios = np.stack([w[:, None] / own[:, 0], h[:, None] / own[:, 1]])
    fits = np.minimum(ratios, 1 / ratios).min(axis=0)
    return overlaps.max(axis=1), overlaps.argmax(axis=1), fits.max(axis=1)


# The numbers


@pytest.mark.parametrize("n", [1, 31, 100])
def test_cover_is_pairwise_of_centred_boxes(n: int) -> None:
    w, h = random_sides(n)
    own = np.array([[10.0, 20.0], [20.0, 10.0], [20.0, 10.0], [5.0, 5.0]])
    found = shapes.cover(w, h, own)
    values = np.asarray(fastbox.pairwise(boxes_of(w, h), boxes_of(*own.T)))
    np.testing.assert_array_equal(found.overlaps, values.max(axis=1))
    np.testing.assert_array_equal(found.indices, values.argmax(axis=1))
    np.testing.assert_allclose(found.fits, naive(w, h, own)[2], rtol=1e-15)
    assert len(shapes.cover(w[:0], h[:0], own).overlaps) == 0


def test_threads_keep_the_bits_of_covers(threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "ROWS", 100)
    w, h = random_sides(1500)
    candidates = np.stack([np.stack(random_sides(3, seed), axis=1) for seed in range(6)])
    seen = []
    for count in (1, 4):
        threads(count)
        seen.append([*shapes.cover(w, h, candidates[0]), shapes.mean_best(w, h, candidates)])
    for one, many in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, many)
    np.testing.assert_allclose(seen[0][3], [naive(w, h, own)[0].mean() for own in candidates], rtol=1e-13)


def test_clusters_are_found_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "RESTARTS", 10)
    planted = np.array([[4.0, 4.0], [100.0, 10.0], [10.0, 130.0], [300.0, 300.0]])
    rng = np.random.default_rng(0)
    w, h = (np.repeat(planted, 40, axis=0) * rng.uniform(0.95, 1.05, (160, 2))).T
    found = shapes.by_area(shapes.cluster(w, h, 4, np.random.default_rng(1)))
    np.testing.assert_allclose(found, planted, rtol=0.05)
    w, h = np.repeat([[1.0, 2.0, 3.0], [3.0, 3.0, 3.0]], [97, 1, 1], axis=1)
    for count in (1, 2, 3):
        own = shapes.cluster(w, h, count, np.random.default_rng(0))
        assert len(np.unique(own, axis=0)) == count
        assert np.isfinite(own).all()
    assert shapes.cover(w, h, own).overlaps.min() == 1
    w = 1e8 + np.arange(2) * np.spacing(1e8)
    assert shapes.cluster(w, w, 2, np.random.default_rng(0)).shape == (2, 2)


def test_a_centre_that_loses_its_boxes_moves_to_the_worst_off() -> None:
    w = h = np.array([10.0] * 20 + [1000.0])
    _, own = shapes._run(w, h, np.array([[10.0, 10.0], [10.0, 10.0]]))
    np.testing.assert_array_equal(own, [[10, 10], [1000, 1000]])


def test_refining_never_loses(tmp_path: Path) -> None:
    from scipy import optimize

    w, h = random_sides(100)
    start = np.array([[10.0, 10.0], [50.0, 50.0]])
    refined = shapes.refine(w, h, start, optimize, np.random.default_rng(0))
    before, after = shapes.mean_best(w, h, np.stack([start, refined]))
    assert after > before
    found = fit_anchors(write(tmp_path / "t.parquet", w, h), count=3)
    assert found.sets["fitted"].to_dict()["mean_iou"] >= found.sets["k-means"].to_dict()["mean_iou"]


@pytest.mark.jit
def test_refining_finds_what_clustering_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy import optimize

    monkeypatch.undo()
    w, h = random_sides(2000)
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        clustered = shapes.cluster(w, h, 5, rng)
        refined = shapes.refine(w, h, clustered, optimize, rng)
        before, after = shapes.mean_best(w, h, np.stack([clustered, refined]))
        assert before + 0.0005 < after < before + 0.02


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


@pytest.mark.parametrize(
    ("rule", "width", "height", "expected"),
    [
        (640, 320, 200, (2, 2)),
        ("640", 320, 1280, (0.5, 0.5)),
        ("300x200", 600, 50, (0.5, 4)),
        ("shorter=800,longer=1333", 400, 500, (2, 2)),
        ("shorter=800,longer=1333", 2666, 400, (0.5, 0.5)),
        (0.5, 1, 1, (0.5, 0.5)),
    ],
)
def test_rules_of_resizing(rule: Any, width: float, height: float, expected: tuple[float, float]) -> None:
    found = Resize.parse(rule).scales(np.array([float(width)]), np.array([float(height)]))
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("rule", ["", "0", "300x", "x300", "640x0", "800/1333", "longer=9", "-4", "nan", None])
def test_other_rules_are_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"expected resize as 640, 300x200 or shorter=800,longer=1333"):
        Resize.parse(rule)


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
    with pytest.raises(InputError, match=r"columns of their own in .*got 'width', which is the boxes'"):
        fit_anchors(path, resize=640)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 0}, "count to be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed to be a whole number of at least 0"),
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
    with pytest.raises(InputError, match="as both"):
        fit_anchors(path, path, count=1)
    with pytest.raises(InputError, match="no such folder"):
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


# The presets and the configuration lines


def test_the_presets_are_those_published() -> None:
    counts = {name: len(DETECTORS[name].shapes) for name in COMPARED}
    assert counts == {"faster-rcnn-fpn": 15, "retinanet": 45, "ssd300": 30, "yolov3": 9, "yolov5": 9, "yolov7": 9}
    for name in ("faster-rcnn-fpn", "retinanet"):
        w, h = np.array(DETECTORS[name].shapes).T
        np.testing.assert_allclose(np.sort(np.unique(np.round(h / w, 9))), [0.5, 1, 2])
        assert np.sqrt(w * h).min() == pytest.approx(32)
    np.testing.assert_allclose(DETECTORS["ssd300"].shapes[0], [21, 21])
    np.testing.assert_allclose(DETECTORS["ssd300"].shapes[2], [21 * 2**0.5, 21 / 2**0.5])
    assert np.max(DETECTORS["ssd300"].shapes) == 300
    assert list(PRESETS) == sorted(PRESETS)
    for name in COMPARED:
        assert Resize.parse(str(DETECTORS[name].resize)).first >= 300
        assert np.min(DETECTORS[name].shapes) > 0


@pytest.mark.parametrize("name", COMPARED)
def test_a_preset_has_the_same_shapes_as_a_grid(name: str) -> None:
    """Beside what torchvision rounds: sides to whole numbers, and corners to whole pixels."""
    grid = AnchorGrid.preset(name)
    corners = np.array([shape for level in grid.shapes for shape in level])
    sides = corners[:, 2:] - corners[:, :2]
    if grid.resized is not None:
        sides *= grid.resized
    rounded = 2 if DETECTORS[name].maker == "torchvision" else 1e-4
    far = np.abs(sides[:, None] - np.array(DETECTORS[name].shapes)).max(axis=2)
    assert far.shape[0] == far.shape[1]
    assert max(far.min(axis=0).max(), far.min(axis=1).max()) <= rounded


SHAPES = [(6.0, 8.0), (15.25, 30.5), (33.0, 23.0), (30.0, 61.0), (62.0, 45.0), (1234.0, 987.6)]


@pytest.mark.parametrize("levels", [1, 2, 6])
def test_configuration_lines_hold_the_shapes(levels: int) -> None:
    lines = configs(SHAPES, levels)
    each = len(SHAPES) // levels
    expected = [SHAPES[first : first + each] for first in range(0, len(SHAPES), each)]

    head, *rows = lines["yolo"].splitlines()
    assert head == "anchors:"
    figures = [ast.literal_eval(row.split("#")[0].strip().removeprefix("- ")) for row in rows]
    assert [list(zip(row[::2], row[1::2], strict=True)) for row in figures] == expected
    assert rows[-1].endswith(f"# P{2 + levels}/{2 ** (2 + levels)}")

    found: dict[str, Any] = {}
    exec(lines["mmdetection"], {}, found)
    generator = found["anchor_generator"]
    assert generator["base_sizes"] == expected[::-1]
    assert generator["strides"] == [2 ** (2 + k) for k in range(levels, 0, -1)]

    sizes, ratios = (ast.literal_eval(line.split(":", 1)[1].strip()) for line in lines["detectron2"].splitlines()[-2:])
    assert ("every size with every ratio" in lines["detectron2"]) == (each > 1)
    for level, own, ratio in zip(expected, sizes, ratios, strict=True):
        built = [(size / r**0.5, size * r**0.5) for size, r in zip(own, ratio, strict=True)]
        np.testing.assert_allclose(built, level, rtol=1e-5)

    names = {"torch": SimpleNamespace(tensor=np.array), "AnchorGenerator": SimpleNamespace}
    exec(lines["torchvision"], names)
    made = names["anchors"]
    assert [len(s) * len(r) for s, r in zip(made.sizes, made.aspect_ratios, strict=True)] == [each] * levels
    for level, cell in zip(expected, made.cell_anchors, strict=True):
        assert cell.dtype == np.float64
        np.testing.assert_allclose(cell[:, 2:] - cell[:, :2], level, rtol=1e-5)
        np.testing.assert_array_equal(cell[:, :2], -cell[:, 2:])


def test_levels_by_default() -> None:
    assert [default_levels(count) for count in (1, 2, 3, 5, 6, 9, 15)] == [1, 2, 1, 5, 2, 3, 5]


# The command


def call(*arguments: Any) -> Result:
    result = CliRunner().invoke(main, ["anchors", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


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
    assert json.loads(call(path, *options, "--json").stdout) == json.loads(json.dumps(found.to_dict()))


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
    assert "IoU >= 0.5" in shown
    assert "within 4x" in shown
