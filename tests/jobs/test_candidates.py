"""The job behind ``fastbox assign --points``: candidates counted one by one in plain Python, for several inputs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support import naive_points

from fastbox import InputError, fragments, jobs
from fastbox.anchors.letterbox import Letterbox, own_size
from fastbox.cli import main

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIZES = {2: (500, 375), 5: (333, 500), 6: (640, 480), 9: (100, 60)}
OPTIONS: dict[str, Any] = {
    "points": ["tal-8.3", "yolox-0.3", "rtmdet"],
    "sizes": [320, "256x192"],
    "ignore_column": "iscrowd",
    "class_column": "category_id",
}


def truths(n: int = 60) -> dict[str, Any]:
    """Truths of four images, many of them tiny, some of them regions to ignore, one invalid."""
    rng = np.random.default_rng(4)
    image = np.sort(rng.choice(list(SIZES), n))
    size = np.array([SIZES[i] for i in image])
    low = rng.uniform(0, 0.9, (n, 2)) * size
    corners = np.concatenate([low, low + rng.choice([3, 9, 80], (n, 1)) * rng.uniform(0.5, 2, (n, 2))], axis=1)
    corners[7, 0] = np.nan
    found: dict[str, Any] = {"image_id": image, **{name: corners[:, k] for k, name in enumerate(CORNERS)}}
    found |= {"width": size[:, 0], "height": size[:, 1], "iscrowd": rng.integers(0, 9, n) == 0}
    return found | {"category_id": rng.integers(1, 4, n)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "truths.parquet"
    pq.write_table(pa.table(truths()), found, row_group_size=7)
    return found


def seen(box: list[float], image: tuple[int, int], size: tuple[int, int], name: str) -> list[float]:
    """A box in the input: as ultralytics centres the image, and as YOLOX and mmdetection put it into the corner."""
    scale = min(size[0] / image[0], size[1] / image[1])
    new: list[float] = [side * scale for side in image]
    if name == "tal-8.3":
        new = [min(math.ceil(round(side, 6)), most) for side, most in zip(new, size, strict=True)]
        left = [round((most - side) / 2 - 0.1) for side, most in zip(new, size, strict=True)]
    else:
        new = [math.floor(side + 0.5) for side in new] if name == "rtmdet" else new
        left = [0, 0]
    return [box[k] * (new[k % 2] / image[k % 2]) + left[k % 2] for k in range(4)]


def by_hand(given: dict[str, Any], name: str, size: tuple[int, int]) -> dict[int, int]:
    """The number of candidates of each truth by its row, point by point."""
    xy, strides = naive_points.points(size, (8, 16, 32), 0.0 if name == "rtmdet" else 0.5)
    found = {}
    for row in range(len(given["image_id"])):
        box = [float(given[corner][row]) for corner in CORNERS]
        if given["iscrowd"][row] or not all(map(math.isfinite, box)):
            continue
        boxes = np.array([seen(box, SIZES[int(given["image_id"][row])], size, name)], np.float64)
        candidate = naive_points.inside(xy.astype(np.float64), boxes, 1e-9 if name == "tal-8.3" else 0)
        if name == "yolox-0.3":
            candidate &= naive_points.near(xy.astype(np.float64), strides, boxes, 2.5)
        found[row] = int(candidate.sum())
    return found


def test_candidates_are_those_that_are_counted_one_by_one(path: Path, tmp_path: Path) -> None:
    given, out = truths(), tmp_path / "starved.parquet"
    found = jobs.candidates(path, out, **OPTIONS)
    rows = pq.read_table(out).to_pylist()
    assert len(found.settings) == 6 and sum(map(len, [rows])) > 6
    for key, counts in found.settings.items():
        name, size = key.split()
        width, _, height = size.partition("x")
        hand = by_hand(given, name, (int(width), int(height or width)))
        starved = sorted(row for row, total in hand.items() if not total)
        assert counts.all.truths == len(hand) and counts.all.starved == len(starved) > 0
        assert counts.totals == {n: list(hand.values()).count(n) for n in set(hand.values())}
        assert counts.median == np.median(list(hand.values()))
        assert [row["row"] for row in rows if (row["points"], row["size"]) == (name, size)] == starved
        assert counts.starved_images == len({int(given["image_id"][row]) for row in starved})
        parts = counts.to_dict()
        for by in ("by_size", "by_class"):
            assert sum(part["starved"] for part in parts[by].values()) == len(starved)
        assert sum(side["starved"] for side in parts["by_side"]) == len(starved)
    assert found.regions == given["iscrowd"].sum() and found.invalid.not_finite == 1


def test_the_nearest_point_of_a_starved_truth_is_the_nearest_of_all(path: Path, tmp_path: Path) -> None:
    jobs.candidates(path, tmp_path / "starved.parquet", **OPTIONS | {"points": ["rtmdet"], "sizes": [320]})
    given = truths()
    xy, _ = naive_points.points((320, 320), (8, 16, 32), 0.0)
    rows = pq.read_table(tmp_path / "starved.parquet").to_pylist()
    assert rows
    for row in rows:
        box = [float(given[name][row["row"]]) for name in CORNERS]
        x0, y0, x1, y1 = seen(box, SIZES[row["image_id"]], (320, 320), "rtmdet")
        distances = np.hypot(xy[:, 0] - (x0 + x1) / 2, xy[:, 1] - (y0 + y1) / 2)
        assert row["distance"] == pytest.approx(distances.min(), rel=1e-5)
        assert distances[row["point"]] == pytest.approx(distances.min(), rel=1e-5)
        assert (row["x"], row["y"]) == tuple(xy[row["point"]].tolist())
        assert row["width"] == pytest.approx(x1 - x0, rel=1e-5) and row["reason"] == "starved"
        assert row["class"] == given["category_id"][row["row"]]


def test_chunks_and_fragments_make_no_difference(path: Path, tmp_path: Path) -> None:
    whole = jobs.candidates(path, tmp_path / "whole.parquet", **OPTIONS, reach=15)
    small = jobs.candidates(path, tmp_path / "small.parquet", **OPTIONS, reach=15, rows=1)
    parts = fragments.spread(jobs.candidates, path, out=tmp_path / "parts", fragment_rows=10, **OPTIONS, reach=15)
    assert whole.to_dict() == small.to_dict() == parts.to_dict()
    assert len(list((tmp_path / "parts").iterdir())) > 2
    table = pq.read_table(tmp_path / "whole.parquet")
    assert table == pq.read_table(tmp_path / "small.parquet")
    assert table.equals(pa.concat_tables(map(pq.read_table, sorted((tmp_path / "parts").iterdir()))))


def test_a_long_truth_is_out_of_reach_where_sides_are_distributions(tmp_path: Path) -> None:
    given = {"image_id": [1], "bbox": [[0.0, 100.0, 1280.0, 200.0]], "width": [1280], "height": [1280]}
    found = jobs.candidates(
        given, tmp_path / "o.parquet", points=["yolov8", "yolov8-p6", "yolox"], sizes=[1280], reach=15
    )
    assert [row["unreached"] for row in found.to_dict()["settings"]] == [1, 0, None]
    (row,) = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert row["reason"] == "unreached" and row["points"] == "yolov8" and row["candidates"] > 100


def test_anchors_stand_beside_points(path: Path) -> None:
    found = jobs.candidates(path, **OPTIONS | {"points": ["yolov8:4+8"], "sizes": [320]}, compared=["retinanet"])
    points, anchors = found.settings.values()
    assert points.strides == (4, 8) and not anchors.points and anchors.median is None
    resize = Letterbox(320, 320, "corner", "nearest").place(np.array([SIZES[9]]))
    assert resize.sizes.tolist() == [[320, 320]] and resize.factors[0, 0] == 3.2
    assert 0 < anchors.all.starved < anchors.all.truths


def test_an_input_is_the_detectors_own_if_no_size_is_given(path: Path) -> None:
    found = jobs.candidates(path, points=["yolov8", "yolov8-p6", "fcos"])
    assert list(found.settings) == ["yolov8 640", "yolov8-p6 1280", "fcos shorter=800,longer=1333"]
    placed = own_size("fcos").place(np.array([[640, 480], [480, 640]]))
    assert placed.sizes.tolist() == [[1088, 800], [800, 1088]]


REFUSED = {
    "expected at least one preset of points": {"points": []},
    "a preset of anchors: give it as": {"points": ["retinanet"]},
    "did you mean 'yolov8'": {"points": ["yolov8x"]},
    "a rule for anchors: give one of": {"rule": "torchvision"},
    "in whole pixels": {"sizes": ["640x0"]},
    "twice": {"sizes": [320, "320"]},
    "expected 5 strides": {"points": ["fcos:8+16"]},
    "got both": {"sizes": [320], "resize": 320},
    "expected pad of": {"pad": "left"},
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_can_not_be_is_refused_in_a_sentence(words: str, path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        jobs.candidates(path, **{"points": ["yolov8"], **REFUSED[words]})


def test_a_table_without_sizes_is_refused_unless_boxes_are_in_the_input(tmp_path: Path) -> None:
    given = {"image_id": [1], "bbox": [[10.0, 10.0, 20.0, 20.0]]}
    with pytest.raises(InputError, match='give pad="none" if boxes are in pixels'):
        jobs.candidates(given, points=["yolov8"])
    assert jobs.candidates(given, points=["yolov8"], pad="none").settings["yolov8 640"].all.bins[0] == 0
    empty = jobs.candidates({name: np.array(column)[:0] for name, column in truths().items()}, **OPTIONS)
    assert empty.truths == 0 and empty.to_dict()["settings"][0]["starved_share"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "expected --anchors or --points, got neither"),
        (("--anchors", "retinanet,ssd300", "--resize", "320"), "expected one preset with --anchors"),
        (("--anchors", "retinanet", "--size", "320"), "expected WIDTHxHEIGHT"),
        (("--anchors", "retinanet", "--size", "320x320", "--reach", "15"), "expected --points with --reach"),
        (("--points", "yolov8", "--high", "0.5"), "expected --high with --anchors alone"),
        (("--points", "yolov8", "--size", "a"), "such as 640x480, or a side, such as 640"),
    ],
)
def test_options_that_contradict_are_refused(path: Path, arguments: tuple[str, ...], words: str) -> None:
    told = CliRunner().invoke(main, ["assign", str(path), *arguments])
    assert told.exit_code == 2 and words in told.output, told.output


def test_the_command_prints_a_table_and_details(path: Path, tmp_path: Path) -> None:
    common = ["assign", str(path), "--ignore-column", "iscrowd"]
    several = CliRunner().invoke(main, [*common, "--points", "tal-8.3,yolov8", "--size", "320,640", "--reach", "15"])
    assert several.exit_code == 0 and "cut" in several.output and "tal-8.3   640" in several.output
    assert max(map(len, several.output.splitlines())) <= 90
    page = tmp_path / "page.html"
    one = CliRunner().invoke(main, [*common, "--points", "tal-8.3", "--size", "320", "--report", str(page)])
    assert one.exit_code == 0 and "side, px" in one.output and "without a candidate point" in one.output
    assert page.read_text().count("<circle") > 20
    told = json.loads(CliRunner().invoke(main, [*common, "--points", "tal-8.3", "--json"]).output)
    assert told["settings"][0]["grid"] == "tal-8.3"
