"""`fastbox evaluate --slice-by`: columns of truths and of tables of images, crowding and border."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import fastbox
from fastbox import jobs
from fastbox.cli import main
from fastbox.fragments import spread
from fastbox.jobs.slicing import CROWDING

SIDE = 300


def call(*arguments: Any) -> Any:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Write detections, truths with columns, a table of images in any order, and the truths as COCO JSON."""
    folder = tmp_path_factory.mktemp("slices")
    random = np.random.default_rng(11)
    images, m, n = np.arange(30) * 3, 150, 400
    image = np.sort(random.choice(images[:26], m, p=(weights := np.arange(1, 27) ** 2) / weights.sum()))
    boxes = np.hstack((random.random((m, 2)) * 240, random.random((m, 2)) * 50 + 5)).round(1)
    boxes[::9, 0] = 0.5
    boxes[1::9, 1] = SIDE - boxes[1::9, 3]
    kinds = random.integers(1, 4, m)
    row = np.sort(random.integers(0, m, n))
    near = boxes[row] + random.normal(0, 3, (n, 4))
    sun = np.where(np.isin(image, images[::2]), "sun", "rain")
    columns = {
        "image_id": image,
        **dict(zip("xywh", boxes.T, strict=True)),
        "category_id": kinds,
        "iscrowd": (random.random(m) < 0.04).astype(int),
        "occluded": pa.array(random.choice(["no", "part", None], m)),
        "weather": sun,
        "score_of_annotator": random.random(m),
    }
    found = {"image_id": image[row], **dict(zip("xywh", near.T, strict=True)), "category_id": kinds[row]}
    found |= {"score": random.random(n), "run": random.choice(["a", "b"], n)}
    table = {"image_id": images[:28], "city": random.choice(["Bern", "Oslo"], 28), "width": [SIDE] * 28}
    table["height"] = [SIDE] * 27 + [None]
    shuffled = random.permutation(28)
    coco = {
        "images": [{"id": int(one), "width": SIDE, "height": SIDE, "file_name": "x.png"} for one in images],
        "categories": [{"id": k, "name": str(k)} for k in (1, 2, 3)],
        "annotations": [
            {"id": k + 1, "image_id": int(image[k]), "category_id": int(kinds[k]), "bbox": boxes[k].tolist()}
            | {"area": float(boxes[k, 2] * boxes[k, 3]), "iscrowd": int(columns["iscrowd"][k])}
            for k in range(m)
        ],
    }
    paths = {name: folder / name for name in ("found.parquet", "truths.parquet", "images.parquet", "truths.json")}
    pq.write_table(pa.table(found), paths["found.parquet"], row_group_size=60)
    pq.write_table(pa.table(columns), paths["truths.parquet"])
    pq.write_table(pa.table(table).take(pa.array(shuffled)), paths["images.parquet"])
    paths["truths.json"].write_text(json.dumps(coco))
    values = {"boxes": boxes, "image": image, "city": dict(zip(images.tolist(), table["city"].tolist(), strict=False))}
    return paths | values | {"columns": columns}


def rows_of(found: jobs.Evaluated, name: str) -> dict[Any, dict[str, Any]]:
    return {row["group"]: row for row in found.to_dict()["slices"] if row["slice"] == name}


def test_groups_of_tables_are_those_of_arrays(scene: dict[str, Any]) -> None:
    names = ["city", "occluded", "weather", "crowding", "border"]
    found = jobs.evaluate(
        scene["found.parquet"], scene["truths.parquet"], slice_by=names, images_table=scene["images.parquet"], rows=40
    )
    columns, boxes = scene["columns"], scene["boxes"]
    asked = np.bincount(scene["image"][columns["iscrowd"] == 0], minlength=90)
    bins = list(CROWDING)
    places = np.searchsorted(list(CROWDING.values()), asked, "right") - 1
    crowding = {image: bins[place] for image, place in enumerate(places.tolist())}
    end = boxes[:, :2] + boxes[:, 2:]
    near = (boxes[:, :2] <= 1).any(axis=1) | (end >= SIDE - 1).any(axis=1)
    border = np.where(near, "border", "inside").astype(object)
    weather = dict(zip(scene["image"].tolist(), columns["weather"].tolist(), strict=True))
    sides = [pq.read_table(scene[name]) for name in ("found.parquet", "truths.parquet")]
    own, its = (fastbox.Boxes.from_arrow(side) for side in sides)
    expected = fastbox.evaluate(
        own,
        sides[0]["score"].to_numpy(),
        its,
        classes=sides[0]["category_id"].to_numpy(),
        truth_classes=columns["category_id"],
        crowd=columns["iscrowd"],
        slices={
            "city": scene["city"],
            "occluded": columns["occluded"].to_pylist(),
            "weather": weather,
            "crowding": crowding,
            "border": border,
        },
    )
    kinds = {row["slice"]: row["of"] for row in found.to_dict()["slices"]}
    assert kinds == dict(zip(names, ("images", "truths", "images", "images", "truths"), strict=True))
    for name in names:
        wanted = {one.group: one.to_dict() for one in expected.slices() if one.slice == name}
        rows = rows_of(found, name)
        assert rows == wanted
        assert len(rows) > 1
    assert list(rows_of(found, "crowding")) == [name for name in CROWDING if name in rows_of(found, "crowding")]


@pytest.mark.jit
def test_fragments_models_and_json_have_the_same_slices(scene: dict[str, Any]) -> None:
    options: dict[str, Any] = {"by": "run", "slice_by": ("occluded", "crowding"), "samples": 5}
    tables = scene["found.parquet"], scene["truths.parquet"]
    whole = jobs.evaluate(*tables, **options)
    assert spread(jobs.evaluate, *tables, fragment_rows=90, **options).to_dict() == whole.to_dict()
    text = json.loads(call(*tables, "--by", "run", "--slice-by", "occluded", "--slice-by", "crowding", "--json").stdout)
    rows = text["models"]["a"]["slices"]
    assert [row["AP"] for row in rows] == [one.stats["AP"] for one in whole.evaluation.slices("a")]
    listed = jobs.evaluate(tables[0], scene["truths.json"], slice_by=["border"])
    plain = jobs.evaluate(*tables, slice_by=["border"], images_table=scene["truths.json"])
    assert rows_of(listed, "border") == rows_of(plain, "border")


def test_slices_are_shown(scene: dict[str, Any], tmp_path: Path) -> None:
    page, tables = tmp_path / "page.html", (scene["found.parquet"], scene["truths.parquet"])
    options = "--slice-by", "occluded", "--slice-by", "weather", "--report", page
    shown = call(*tables, *options, "--bootstrap", 4)
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    for said in ("occluded images truths AP AP50 AP75 AR100 AP 95%", "weather images truths AP AP50 AP75 AR100 AP 95%"):
        assert said in lines
    assert "groups of truths: truths of other groups are ignored" in lines
    assert any(line.startswith("no value ") for line in lines)
    for said in ("Slices", "By occluded: groups of truths", "By weather: groups of images"):
        assert said in page.read_text()
    assert call(*tables, "--by", "run", *options).exit_code == 0
    assert "AP by occluded: groups of truths" in page.read_text()
    other = call(*tables, "--rule", "voc12", "--slice-by", "weather")
    assert "weather images truths mAP" in " ".join(other.stdout.split())


def test_columns_that_make_no_groups(scene: dict[str, Any]) -> None:
    tables = scene["found.parquet"], scene["truths.parquet"]
    for name, said in (
        ("wether", "got 'wether'; did you mean 'weather'?"),
        ("city", "a table of images is named with --images-table TABLE"),
        ("score_of_annotator", "expected at most 64 groups by 'score_of_annotator', got 150 or more: slice by fewer"),
        ("border", "expected columns width and height of images for the border, got none"),
        ("x", "groups by 'x'"),
    ):
        result = call(*tables, "--slice-by", name)
        assert result.exit_code == 2
        assert said in result.output
    alone = call(*tables, "--images-table", scene["images.parquet"])
    assert alone.exit_code == 2 and "name them with --slice-by COLUMN" in alone.output
    lists = pq.read_table(tables[1]).append_column("tags", pa.array([["a"]] * 150))
    with pytest.raises(fastbox.InputError, match="expected single values in column 'tags', got list"):
        jobs.evaluate(tables[0], lists, slice_by=["tags"])
