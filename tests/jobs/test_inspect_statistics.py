"""Statistics and examples of an inspection: those of a plain loop, whatever the chunks and files."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.inspections import naive
from support.scenes import LIMITS, Scene

import fastbox
from fastbox import jobs
from fastbox.jobs import Limits
from fastbox.jobs.inspection.problems import EXAMPLES, SEVERITIES


def test_files_make_no_difference(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "parts").mkdir()
    for k, (first, last) in enumerate(pairwise([0, 1, 60, 61, 150])):
        pq.write_table(scene.table.slice(first, last - first), tmp_path / "parts" / f"{k}.parquet", row_group_size=9)
    found = [
        jobs.inspect(path, scene.images, tmp_path / "p.parquet", limits=LIMITS, rows=13).to_dict()
        for path in (scene.path, tmp_path / "parts")
    ]
    assert found[0] == found[1]


def test_statistics_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    found = jobs.inspect(scene.path, scene.images, rows=17).to_dict()
    sides = scene.sides()
    valid = np.array(
        [np.isfinite(box[:4]).all() and box[2] >= box[0] and box[3] >= box[1] for box in sides.tolist()], bool
    )
    x0, y0, x1, y1, w, h = sides[valid].T
    assert (found["boxes"], found["valid"]) == (150, int(valid.sum()))
    assert found["images"] == len({*scene.image, *scene.listed})
    assert found["images_without_boxes"] == 1
    assert found["invalid"]["boxes"]["not_finite"] == int((~np.isfinite(sides[:, :4]).all(1)).sum())
    area = w * h
    assert found["sizes"] == {
        "small": int((area < 32**2).sum()),
        "medium": int(((area >= 32**2) & (area < 96**2)).sum()),
        "large": int((area >= 96**2).sum()),
    }
    matrix = fastbox.pairwise(scene.boxes, scene.boxes)
    best = []
    for row in np.flatnonzero(valid):
        others = [matrix[row, k] for k in np.flatnonzero(valid) if k != row and scene.image[k] == scene.image[row]]
        best.append(max(others, default=0.0))
    metrics = found["metrics"]
    assert found["crowding"]["boxes"] == sum(value > 0.5 for value in best) > 0
    assert metrics["best_overlap"]["count"] == len(best)
    assert metrics["best_overlap"]["mean"] == pytest.approx(np.mean(best), rel=1e-6)
    assert metrics["best_overlap"]["max"] == 1.0
    assert metrics["side"]["mean"] == pytest.approx(np.sqrt(area).mean(), rel=1e-12)
    some = area > 0
    assert metrics["aspect"]["mean"] == pytest.approx((w[some] / h[some]).mean(), rel=1e-12)
    per_image = [scene.image.count(image) for image in {*scene.image, *scene.listed}]
    assert metrics["boxes_per_image"]["count"] == len(per_image)
    assert metrics["boxes_per_image"]["mean"] == np.mean(per_image)
    assert sum(metrics["boxes_per_image"]["histogram"]["counts"]) == len(per_image)
    frames = np.array([scene.frame(row, True) for row in np.flatnonzero(valid)])
    known = np.isfinite(frames[:, 0])
    across, down = frames[known].T
    x0, y0, x1, y1 = (side[known] for side in (x0, y0, x1, y1))
    place = found["place"]
    near = {"left": x0 <= 1, "top": y0 <= 1, "right": x1 >= across - 1, "bottom": y1 >= down - 1}
    assert place["boxes"] == known.sum() < valid.sum()
    assert place["borders"] == {name: int(side.sum()) for name, side in near.items()}
    assert place["truncated"] == int(np.any(list(near.values()), axis=0).sum())
    heat = np.zeros((16, 16), int)
    for x, y in zip((x0 + x1) / 2 / across, (y0 + y1) / 2 / down, strict=True):
        if 0 <= x <= 1 and 0 <= y <= 1:
            heat[min(int(y * 16), 15), min(int(x * 16), 15)] += 1
    assert place["heat"] == heat.tolist()
    assert [entry["boxes"] for entry in found["classes"]] == sorted(Counter(scene.label).values(), reverse=True)
    for entry in found["classes"]:
        rows = [k for k, label in enumerate(scene.label) if label == entry["class"]]
        assert entry["boxes"] == len(rows)
        assert entry["images"] == len({scene.image[k] for k in rows})
        sized = sorted(math.sqrt(b[4] * b[5]) for b in sides[rows].tolist() if b[4] > 0 and b[5] > 0)
        sized = [side for side in sized if math.isfinite(side)]
        if len(sized) > 8:
            assert entry["median_side"] == pytest.approx(sized[(len(sized) - 1) // 2], rel=0.05)


def test_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    cut = scene.image.index(13)
    parts = [scene.table.slice(0, cut), scene.table.slice(cut)]
    summaries = []
    for k, part in enumerate(parts):
        pq.write_table(part, tmp_path / f"{k}.parquet")
        summaries.append(jobs.inspect(tmp_path / f"{k}.parquet", limits=Limits(class_size=None)))
    whole = jobs.inspect(scene.path, limits=Limits(class_size=None))
    both = summaries[0] + summaries[1]
    left, right = both.to_dict(), whole.to_dict()
    for summary in (left, right):
        summary["problems"] = [
            (found["code"], found["count"]) for found in summary["problems"] if found["code"] != "repeated_id"
        ]
    assert left == right


def test_examples_hold_what_a_page_shows(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    problems = jobs.inspect(scene.path, scene.images, limits=LIMITS, rows=9).to_dict()["problems"]
    assert [found["code"] for found in problems] == sorted(found["code"] for found in problems)
    rows = naive(scene, LIMITS, listed=True)
    for found in problems:
        of_code = [row for row in rows if row[2] == found["code"]]
        assert (found["count"], found["severity"]) == (len(of_code), SEVERITIES[found["code"]])
        shown = [(example["image_id"], example["row"], example["other"]) for example in found["examples"]]
        assert shown == [(image, row, other) for image, row, _, other, _ in of_code[:EXAMPLES]]
        for example in found["examples"]:
            if example["row"] is None:
                assert example["box"] is None
                continue
            assert example["id"] == scene.id[example["row"]]
            assert example["class"] == scene.label[example["row"]]
            if example["other_box"] is not None:
                assert example["other_class"] == scene.label[example["other"]]
                assert example["other_id"] == scene.id[example["other"]]
            corners = scene.boxes.corners()[example["row"]].astype(float)
            assert example["box"] == [side if np.isfinite(side) else None for side in corners.tolist()]
            frame = scene.frame(example["row"], True)
            assert example["image_size"] == (None if math.isnan(frame[0]) else list(frame))
            if example["other"] is not None and example["other_box"] is not None:
                assert example["other_box"] == scene.boxes.corners()[example["other"]].astype(float).tolist()
            if found["code"] in ("duplicate", "near_duplicate", "near_duplicate_other_class"):
                assert example["other_box"] is not None
