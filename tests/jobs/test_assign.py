"""The job behind ``fastbox assign``: what matching image by image gives, whatever the chunks, and the figures of it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import calls

import fastbox
from fastbox import AnchorGrid, InputError, jobs
from fastbox.anchors.resize import Resize
from fastbox.assign.registry import as_rule, rules_of
from fastbox.assign.rule import MatchRule
from fastbox.report.figures import coverage as figures_of_coverage
from fastbox.tables.record import read_record

CORNERS = ("xmin", "ymin", "xmax", "ymax")
GRID = AnchorGrid(strides=[8, 16], sizes=[24, 60], ratios=[0.5, 1, 2])
SIZES = {2: (96, 64), 5: (64, 64), 6: (128, 40), 9: (96, 64)}
SHORTER = Resize("shorter", 80, 150)


def truths(n: int = 40, seed: int = 0) -> dict[str, Any]:
    """Truths of four images, some of them regions to ignore, one invalid."""
    rng = np.random.default_rng(seed)
    image = np.sort(rng.choice(list(SIZES), n))
    size = np.array([SIZES[i] for i in image])
    low = rng.uniform(0, 0.7, (n, 2)) * size
    corners = np.concatenate([low, low + rng.uniform(2, 50, (n, 2))], axis=1).astype(np.float32)
    corners[7, 0] = np.nan
    found: dict[str, Any] = {"image_id": image, **{name: corners[:, k] for k, name in enumerate(CORNERS)}}
    found |= {"width": size[:, 0], "height": size[:, 1], "iscrowd": rng.integers(0, 5, n) == 0}
    return found | {"category_id": rng.integers(1, 4, n)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "truths.parquet"
    pq.write_table(pa.table(truths()), found, row_group_size=7)
    return found


def by_hand(given: dict[str, Any], resize: Resize, crowd: bool) -> list[tuple[Any, ...]]:
    """Image by image, on materialised anchors."""
    rows = []
    for image, size in SIZES.items():
        mine = np.flatnonzero(given["image_id"] == image)
        width, height = resize.sizes(np.array([size]))[0].tolist()
        ratio = np.array([width, height, width, height], np.float32) / np.array([*size, *size], np.float32)
        corners = np.stack([given[name][mine] for name in CORNERS], axis=1) * ratio
        out = given["iscrowd"][mine] if crowd else np.zeros(len(mine), bool)
        anchors = GRID.boxes((width, height))
        found = fastbox.match(anchors, corners[~out], ignore=corners[out] if crowd else None, sparse=True)
        first_of_level = np.cumsum(GRID.counts((width, height)))
        for anchor, label, truth, value in zip(found.anchors, found.labels, found.truths, found.values, strict=True):
            row = None if truth < 0 else int(mine[~out][truth])
            rows.append((image, int(np.searchsorted(first_of_level, anchor, "right")), anchor, label, row, value))
    return rows


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("rows", [3, 1000])
def test_it_is_matching_image_by_image(path: Path, tmp_path: Path, crowd: bool, rows: int) -> None:
    out = tmp_path / "out.parquet"
    found = jobs.assign(path, GRID, out, resize=SHORTER, ignore_column="iscrowd" if crowd else None, rows=rows)
    table = pq.read_table(out)
    assert table.column_names == ["image_id", "level", "anchor", "label", "truth", "iou"]
    expected = by_hand(truths(), SHORTER, crowd)
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    labels = table["label"].to_numpy()
    summary = found.to_dict()
    assert summary["positives"] == (labels == 1).sum()
    assert summary["ignored"] == (labels == -1).sum()
    assert summary["anchors"] == summary["positives"] + summary["ignored"] + summary["negatives"]
    assert summary["anchors"] == sum(
        GRID.count(tuple(SHORTER.sizes(np.array([s]))[0].tolist())) for s in SIZES.values()
    )
    for level, counts in enumerate(summary["by_level"]):
        assert counts["positives"] == ((labels == 1) & (table["level"].to_numpy() == level)).sum()
    record = read_record(out)
    assert record["summary"] == json.loads(json.dumps(summary))


def test_coverage_is_that_of_each_truth(path: Path) -> None:
    given = truths()
    found = jobs.assign(path, GRID, resize=Resize("none", 96, 64), class_column="category_id").to_dict()["coverage"]
    corners = np.stack([given[name] for name in CORNERS], axis=1)
    anchors = GRID.boxes((96, 64))
    best = fastbox.best(corners, anchors).values
    known = ~np.isnan(best)
    assert found["truths"] == known.sum() == len(best) - 1
    assert found["mean_best_iou"] == pytest.approx(best[known].mean(dtype=np.float64), abs=1e-9)
    assert found["recall"]["0.5"] == (best[known] >= 0.5).mean()
    for kind in (1, 2, 3):
        mine = best[known & (given["category_id"] == kind)]
        assert found["by_class"][str(kind)]["truths"] == len(mine)
        assert found["by_class"][str(kind)]["mean_best_iou"] == pytest.approx(mine.mean(dtype=np.float64), abs=1e-9)
    assert sum(part["truths"] for part in found["by_size"].values()) == known.sum()
    assert np.sum(found["map"]["truths"]) == known.sum()


def test_chunks_change_nothing(path: Path, tmp_path: Path) -> None:
    outs = [tmp_path / f"{rows}.parquet" for rows in (2, 11, 500)]
    found = [
        jobs.assign(path, GRID, out, resize=SHORTER, class_column="category_id", rows=rows).to_dict()
        for out, rows in zip(outs, (2, 11, 500), strict=True)
    ]
    assert found[0] == found[1] == found[2]
    assert len({out.read_bytes() for out in outs}) == 1


def test_a_table_without_rows(tmp_path: Path) -> None:
    path, out = tmp_path / "none.parquet", tmp_path / "out.parquet"
    pq.write_table(pa.table(truths()).slice(0, 0), path)
    found = jobs.assign(path, GRID, out, resize=SHORTER).to_dict()
    assert found["images"] == found["anchors"] == 0
    assert found["coverage"]["mean_best_iou"] is None
    assert pq.read_table(out).num_rows == 0


@pytest.mark.parametrize(
    ("rule", "given", "expected"),
    [
        (Resize("shorter", 800, 1333), (640, 480), (1067, 800)),
        (Resize("shorter", 800, 1333, True), (640, 480), (1066, 800)),
        (Resize("shorter", 800, 1333), (1000, 333), (1333, 444)),
        (Resize("longer", 640, float("nan")), (1000, 333), (640, 213)),
        (Resize("both", 300, 200), (1000, 333), (300, 200)),
        (Resize("none", 300, 200), (1000, 333), (300, 200)),
    ],
)
def test_how_images_are_resized(rule: Resize, given: tuple[int, int], expected: tuple[int, int]) -> None:
    assert tuple(rule.sizes(np.array([given]))[0]) == expected


def test_sizes_that_cannot_be(tmp_path: Path) -> None:
    given = truths() | {"width": np.zeros(40, np.int64)}
    path = tmp_path / "truths.parquet"
    pq.write_table(pa.table(given), path)
    with pytest.raises(InputError, match="at least 1 pixel in column 'width', got 0 at row 0"):
        jobs.assign(path, GRID, resize=SHORTER)


call = partial(calls.call, "assign")


def test_the_command(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    result = call(path, "--anchors", "yolov3", "--resize", "shorter=96,longer=128", "-o", out)
    assert result.exit_code == 0, result.output
    assert "positives" in result.output
    assert f"→ {out}" in result.output
    again = call(
        path, "--anchors", "yolov3", "--resize", "shorter=96,longer=128", "--json", "--high", "0.3", "--low", "0.2"
    )
    summary = json.loads(again.output)
    assert summary["images"] == 4
    assert summary["coverage"]["by_class"].keys() == {"1", "2", "3"}
    assert summary["positives"] >= json.loads(read_text(out))["summary"]["positives"]


def read_text(out: Path) -> str:
    return json.dumps(read_record(out))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--anchors", "retinanett", "--resize", "shorter=800,longer=1333"), "did you mean 'retinanet'?"),
        (("--anchors", "retinanet", "--size", "800x"), "expected WIDTHxHEIGHT in whole pixels, such as 640x480"),
        (("--anchors", "retinanet", "--resize", "shorter=800,longer=1333", "--rule", "nope"), "got 'nope'"),
        (
            ("--anchors", "retinanet", "--resize", "shorter=800,longer=1333", "--rule", "atss", "--low", "0.1"),
            "a rule that has --low",
        ),
        (("--anchors", "retinanet", "--resize", "80", "--ignore-column", "nope"), "nope"),
    ],
)
def test_what_the_command_says_to_bad_input(path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = call(path, *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("rule", rules_of(MatchRule))
def test_regions_to_ignore_need_a_rule_that_has_them(path: Path, tmp_path: Path, rule: str) -> None:
    out = tmp_path / "out.parquet"
    asked = (path, "--anchors", "yolov3", "--size", "96x128", "--rule", rule, "-o", out)
    result = call(*asked, "--ignore-column", "iscrowd")
    if as_rule(rule).ignore_iof is not None:
        assert result.exit_code == 0, result.output
        assert out.exists()
        return
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: rule {rule!r} has no ignore regions, got column 'iscrowd' of them: leave --ignore-column out, or give "
        "--rule fastbox\n"
    )
    assert not out.exists()
    assert call(*asked).exit_code == 0


@pytest.mark.slow
def test_the_picture_draws_the_coverage(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    figures = []
    save = figures_of_coverage.save
    monkeypatch.setattr(figures_of_coverage, "save", lambda figure, path: figures.append(figure) or save(figure, path))
    asked = (path, "--anchors", "yolov3", "--resize", "shorter=96,longer=128")
    for name in ("plot.svg", "again.svg", "plot.png"):
        result = call(*asked, "--plot", tmp_path / name, "--json")
        assert result.exit_code == 0, result.output
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "plot.svg").read_bytes()
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"

    coverage = json.loads(result.stdout)["coverage"]
    heat, tall, curve, _ = figures[-1].axes
    parts = {"all": coverage, **coverage["by_size"]}
    drawn = {line.get_label(): line.get_ydata().tolist() for line in curve.lines}
    assert len(drawn) == len(parts)
    for name, part in parts.items():
        recall = [np.nan if r is None else r for r in part["recall"].values()]
        np.testing.assert_array_equal(drawn[f"{name} ({part['truths']})"], recall)
    assert sum(drawn[f"all ({coverage['truths']})"]) > 0
    assert tall.patches[0].get_data().values.sum() == coverage["truths"]
    means = [mean for row in coverage["map"]["mean_best_iou"] for mean in row if mean is not None]
    assert heat.collections[0].get_array().compressed().tolist() == means
    result = call(path, "--anchors", "yolov3", "--resize", "shorter=96,longer=128", "--plot", tmp_path / "plot.doc")
    assert result.exit_code == 2
    assert "expected a picture such as .svg, .png or .pdf" in result.stderr
    assert not (tmp_path / "plot.doc").exists()


def test_widths_of_boxes_are_no_sizes_of_images(tmp_path: Path) -> None:
    table = pa.table({"image_id": [1], "left": [3.0], "top": [4.0], "width": [50.0], "height": [60.0]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"in columns width and height of .*t.parquet, got 'width' of the boxes: call"):
        jobs.assign(tmp_path / "t.parquet", AnchorGrid.preset("retinanet"), resize=Resize("shorter", 400, 400))
    assert (
        jobs.assign(tmp_path / "t.parquet", AnchorGrid.preset("retinanet"), resize=Resize("none", 99, 99)).truths == 1
    )


@pytest.mark.slow
@pytest.mark.compiler  # kernels of rotated boxes are in no library
def test_turned_truths_are_matched_with_the_upright_grid(tmp_path: Path) -> None:
    given = truths()
    n, rng = len(given["image_id"]), np.random.default_rng(3)
    low, high = (
        np.stack([given[f"{axis}{end}"] for axis in "xy"], axis=1).astype(np.float64) for end in ("min", "max")
    )
    numbers = np.concatenate([(low + high) / 2, high - low, rng.uniform(-90, 90, (n, 1))], axis=1)
    table = pa.table(
        {"image_id": given["image_id"], **dict(zip(("cx", "cy", "w", "h", "angle"), numbers.T, strict=True))}
    )
    table = table.append_column("width", pa.array(given["width"])).append_column("height", pa.array(given["height"]))
    path, out = tmp_path / "turned.parquet", tmp_path / "out.parquet"
    pq.write_table(table.replace_schema_metadata({"box_format": "cxcywhd"}), path, row_group_size=7)
    found = [jobs.assign(path, GRID, out, resize=SHORTER, rows=rows, report=tmp_path / "r.html") for rows in (5, 1000)]
    assert found[0].to_dict() == found[1].to_dict()
    rows = []
    for image, size in SIZES.items():
        mine = np.flatnonzero(given["image_id"] == image)
        width, height = SHORTER.sizes(np.array([size]))[0]
        across, down = width / size[0], height / size[1]
        factors = np.array([across, down, *[np.sqrt(across * down)] * 2, 1])
        boxes = fastbox.RotatedBoxes(numbers[mine] * factors, "cxcywhd")
        one = fastbox.match(GRID.astype(np.float64), boxes, size=(int(width), int(height)), sparse=True)
        owned = [None if truth < 0 else int(mine[truth]) for truth in one.truths]
        rows += zip([image] * len(owned), one.anchors, one.labels, owned, one.values, strict=True)
    written = pq.read_table(out).to_pylist()
    assert [(row["image_id"], *(row[name] for name in ("anchor", "label", "truth", "iou"))) for row in written] == rows
    assert sum(row["label"] == 1 for row in written) > 20
    assert (tmp_path / "r.html").read_text().count("<polygon") >= 12


@pytest.mark.compiler  # for sines and cosines
def test_stretched_rectangles_are_quadrilaterals() -> None:
    boxes = fastbox.RotatedBoxes([[4, 4, 4, 2, 90], [8, 4, 2, 2, 45]], "cxcywhd")
    size, new = np.array([[16, 8]]), np.array([[8, 8]])
    found = Resize("both", 8, 8).boxes(boxes, np.zeros(2, np.int64), size, new)
    assert isinstance(found, fastbox.RotatedBoxes)
    expected = boxes.corners() * [0.5, 1]
    np.testing.assert_array_equal(found.corners(), expected)
    kept = Resize("longer", 8, float("nan")).boxes(boxes, np.zeros(2, np.int64), size, size // 2)
    np.testing.assert_array_equal(kept.columns, np.array(boxes.columns) * np.array([[0.5]] * 4 + [[1]]))


def test_centres_of_quadrilaterals_are_not_ranked(tmp_path: Path) -> None:
    path, numbers = tmp_path / "turned.parquet", {name: [4.0] for name in ("cx", "cy", "w", "h", "angle")}
    table = pa.table({"image_id": [1], **numbers, "width": [8], "height": [8]})
    pq.write_table(table.replace_schema_metadata({"box_format": "cxcywhd"}), path)
    with pytest.raises(InputError, match=r"expected rectangles for rule 'atss'.*rectangles that are stretched from"):
        jobs.assign(path, GRID, resize="8x16", rule="atss")
