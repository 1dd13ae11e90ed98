"""The cleaned copy of ``fastbox inspect --fix``: what is changed, that nothing else is, and that the original stays."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.scenes import NAMES, Scene

from fastbox import Boxes, InputError, Source, jobs
from fastbox.jobs.inspection.problems import Limits
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink

FIXED = {"non_finite", "inverted", "zero_side", "duplicate", "out_of_image"}
AFTER = tuple(f"{name}_after" for name in NAMES["xyxy"])


def naive(scene: Scene) -> tuple[dict[int, str], dict[int, np.ndarray]]:
    """Why rows go, and what the corners of those that are cut become."""
    dropped, clipped = {}, {}
    corners = scene.boxes.corners().astype(np.float64)
    for row, (box, (*_, w, h)) in enumerate(zip(corners, scene.sides(), strict=True)):
        if not np.isfinite(box).all():
            dropped[row] = "non_finite"
        elif box[2] < box[0] or box[3] < box[1]:
            dropped[row] = "inverted"
        elif min(w, h) == 0:
            dropped[row] = "zero_side"
        else:
            across, down = scene.size[row]
            if max(-box[0], -box[1], box[2] - across, box[3] - down) > 0.5:
                cut = np.clip(box, 0, [across, down, across, down])
                if (cut[2:] > cut[:2]).all():
                    clipped[row] = cut
                else:
                    dropped[row] = "out_of_image"
    seen: dict[Any, int] = {}
    for row, box in enumerate(corners):
        if row not in dropped:
            key = (scene.image[row], scene.label[row], tuple(clipped.get(row, box).tolist()))
            if key in seen:
                dropped[row] = "duplicate"
                clipped.pop(row, None)
            seen.setdefault(key, row)
    return dropped, clipped


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("form", "dtype", "ids"),
    [
        ("xyxy", "float32", "int"),
        ("xywh", "float32", "str"),
        ("cxcywh", "float32", "int"),
        ("yxyx", "int32", "int"),
        ("xywh", "float64", "int"),
        ("cxcywh", "int32", "str"),
        ("xyxy", "uint16", "int"),
        ("xywh", "float16", "int"),
    ],
)
def test_a_cleaned_copy_differs_by_its_log_alone(tmp_path: Path, form: str, dtype: str, ids: str) -> None:
    with np.errstate(invalid="ignore"):
        scene = Scene(tmp_path, form=form, dtype=dtype, ids=ids)
    before = digest(scene.path)
    dropped, clipped = naive(scene)
    assert len(clipped) >= (1 if dtype == "uint16" else 2) and len(dropped) > 5
    outputs = []
    for rows in (6, 1000):
        out, log = tmp_path / f"c{rows}.parquet", tmp_path / f"l{rows}.parquet"
        found = jobs.inspect(scene.path, fix=out, changes=log, rows=rows)
        outputs.append((digest(out), digest(log)))
    assert outputs[0] == outputs[1]
    assert digest(scene.path) == before
    cleaned = pq.read_table(out)
    kept = [row for row in range(150) if row not in dropped]
    assert cleaned.schema.remove_metadata().equals(scene.table.schema)
    same = scene.table.take(kept)
    for name in same.column_names:
        if name not in NAMES[form]:
            assert cleaned[name].equals(same[name]), name
    stored = np.stack([cleaned[name].to_numpy() for name in NAMES[form]], 1)
    corners = Boxes(stored, format=form).corners().astype(np.float64)
    for place, row in enumerate(kept):
        if row in clipped:
            tolerance = 0.51 if np.dtype(dtype).kind in "iu" else 0.1 if dtype == "float16" else 1e-4
            np.testing.assert_allclose(corners[place], clipped[row], atol=tolerance)
        else:
            np.testing.assert_array_equal(stored[place], scene.stored[row])
    assert found.fix == {
        "rows": len(kept),
        "clipped": len(clipped),
        "dropped": {code: list(dropped.values()).count(code) for code in sorted(set(dropped.values()))},
    }
    lines = pq.read_table(log).to_pylist()
    assert [line["row"] for line in lines] == sorted({*dropped, *clipped})
    for line in lines:
        row = line["row"]
        assert line["image_id"] == scene.image[row]
        expected = ("dropped", dropped[row]) if row in dropped else ("clipped", "out_of_image")
        assert (line["action"], line["code"]) == expected
        np.testing.assert_array_equal([line[c] for c in NAMES["xyxy"]], scene.boxes.corners()[row])
        after = [line[name] for name in AFTER]
        if row in dropped:
            assert after == [None] * 4
        else:
            np.testing.assert_array_equal(after, corners[kept.index(row)])
    again = jobs.inspect(out, fix=tmp_path / "again.parquet")
    assert not FIXED & set(again.problems.counts)
    assert again.fix == {"rows": len(kept), "clipped": 0, "dropped": {}}
    assert pq.read_table(tmp_path / "again.parquet").equals(cleaned)
    assert len(pq.read_table(tmp_path / "again.log.parquet")) == 0


@pytest.mark.parametrize("layout", ["struct", "list", "large", "fixed"])
@pytest.mark.parametrize("rows", [7, 1000])
def test_every_layout_is_written_as_it_was(tmp_path: Path, layout: str, rows: int) -> None:
    scene = Scene(tmp_path)
    jobs.inspect(scene.path, fix=tmp_path / "flat.parquet", changes=tmp_path / "flat.log.parquet")
    flat = pq.read_table(tmp_path / "flat.parquet")
    if layout == "struct":
        extra = pa.array([None if k % 7 == 0 else k for k in range(150)], pa.int16())
        sides = [pa.array(scene.stored[:, k]) for k in range(4)]
        boxes = pa.StructArray.from_arrays(
            [sides[2], extra, *sides[:2], sides[3]], ["xmax", "n", "xmin", "ymin", "ymax"]
        )
    else:
        kinds = {
            "list": pa.list_(pa.float32()),
            "large": pa.large_list(pa.float32()),
            "fixed": pa.list_(pa.float32(), 4),
        }
        boxes = pa.array(scene.stored.tolist(), kinds[layout])
    table = scene.table.drop_columns(list(NAMES["xyxy"])).append_column("bbox", boxes)
    pq.write_table(table, scene.path, row_group_size=31)
    source = Source(scene.path, boxes="bbox", format="xyxy")
    jobs.inspect(source, fix=tmp_path / "c.parquet", rows=rows)
    cleaned = pq.read_table(tmp_path / "c.parquet")
    assert cleaned.schema.remove_metadata().equals(table.schema)
    found = cleaned["bbox"].to_pylist()
    quads = [[box[name] for name in NAMES["xyxy"]] if layout == "struct" else box for box in found]
    expected = np.stack([flat[name].to_numpy() for name in NAMES["xyxy"]], 1)
    np.testing.assert_array_equal(np.array(quads, np.float32), expected)
    assert cleaned.drop_columns("bbox").equals(flat.drop_columns(list(NAMES["xyxy"])))
    if layout == "struct":
        kept = [row for row in range(150) if row not in naive(scene)[0]]
        assert [box["n"] for box in found] == [extra[row].as_py() for row in kept]
    logs = [pq.read_table(tmp_path / f"{name}.log.parquet").to_pylist() for name in ("c", "flat")]
    assert repr(logs[0]) == repr(logs[1])  # nan is nan


def test_sizes_of_a_table_of_images_are_clipped_to(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    pq.write_table(scene.table.drop_columns(["width", "height"]), scene.path)
    found = jobs.inspect(scene.path, scene.images, fix=tmp_path / "c.parquet")
    assert found.fix is not None and found.fix["clipped"] > 0
    again = jobs.inspect(tmp_path / "c.parquet", scene.images)
    assert not FIXED & set(again.problems.counts)
    none = jobs.inspect(scene.path, fix=tmp_path / "c.parquet")
    assert none.fix is not None and none.fix["clipped"] == 0 and none.fix["dropped"]


def test_boxes_that_are_one_when_they_are_clipped_are_one(tmp_path: Path) -> None:
    quads = [[-9.0, 0, 10, 10], [-5.0, 0, 10, 10], [0.0, 0, 10, 10], [-20.0, 0, -3, 5], [90.0, 90, 300, 300]]
    table = {"image_id": [1] * 5, "bbox": quads, "width": [100] * 5, "height": [100] * 5, "category_id": [1] * 5}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    found = jobs.inspect(Source(tmp_path / "t.parquet", format="xyxy"), fix=tmp_path / "c.parquet")
    assert found.fix == {"rows": 2, "clipped": 2, "dropped": {"duplicate": 2, "out_of_image": 1}}
    assert pq.read_table(tmp_path / "c.parquet")["bbox"].to_pylist() == [[0.0, 0, 10, 10], [90.0, 90, 100, 100]]


@pytest.mark.jit
@pytest.mark.parametrize("form", ["xyxy", "xywh", "cxcywh", "yxyx"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8"])
def test_no_clipped_box_sticks_out_by_rounding(tmp_path: Path, form: str, dtype: str) -> None:
    """Whatever the rounding of the stored sides: a second look finds nothing to clip."""
    rng = np.random.default_rng(5)
    n = 400
    most = 200 if dtype == "uint8" else 3000
    low, size = rng.uniform(-most / 4, most, (n, 2)), rng.uniform(1, most, (n, 2))
    quads = np.concatenate([low, low + size], 1)
    quads = np.clip(quads, 0, 255) if dtype == "uint8" else quads
    x0, y0, x1, y1 = quads.T
    boxes = {
        "xyxy": quads,
        "xywh": np.stack([x0, y0, x1 - x0, y1 - y0], 1),
        "cxcywh": np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], 1),
        "yxyx": np.stack([y0, x0, y1, x1], 1),
    }[form]
    boxes = np.rint(boxes) if np.dtype(dtype).kind in "iu" else boxes
    frame = rng.uniform(most / 10, most, (n, 2))
    table = pa.table(
        {
            "image_id": np.arange(n),
            **{name: boxes[:, k].astype(dtype) for k, name in enumerate(NAMES[form])},
            "width": frame[:, 0],
            "height": frame[:, 1],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    for tolerance in (0.0, 0.5):
        limits = Limits(tolerance=tolerance, class_size=None)
        found = jobs.inspect(tmp_path / "t.parquet", fix=tmp_path / "c.parquet", limits=limits)
        assert found.fix is not None and found.fix["clipped"] > 20
        again = jobs.inspect(tmp_path / "c.parquet", limits=limits)
        assert not FIXED & set(again.problems.counts)


def test_names_of_classes_and_metadata_stay(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    schema = scene.table.schema.with_metadata({b"mine": b"kept"})
    with Sink(tmp_path / "t.parquet", schema, command="convert", parameters={}) as sink:
        sink.record(categories={"0": "cat", "1": "dog"})
        sink.write(scene.table.replace_schema_metadata({b"mine": b"kept"}))
    found = jobs.inspect(tmp_path / "t.parquet", fix=tmp_path / "c.parquet")
    record = read_record(tmp_path / "c.parquet")
    assert record["categories"] == {"0": "cat", "1": "dog"}
    assert record["command"] == "inspect --fix" and record["summary"] == found.fix
    assert pq.read_metadata(tmp_path / "c.parquet").metadata[b"mine"] == b"kept"
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_columns_that_are_not_looked_at_stay(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    labels = pa.array([None if k % 5 == 0 else f"l{k % 3}" for k in range(150)]).dictionary_encode()
    more = {
        "words": labels,
        "lists": pa.array([[k] * (k % 4) for k in range(150)]),
        "flag": pa.array([k % 2 == 0 for k in range(150)]),
        "score": pa.array([np.nan if k % 9 == 0 else k / 150 for k in range(150)], pa.float16()),
        "when": pa.array(range(150), pa.timestamp("ms")),
    }
    table = scene.table
    for name, column in more.items():
        table = table.append_column(name, column)
    pq.write_table(table, scene.path, row_group_size=40)
    jobs.inspect(scene.path, fix=tmp_path / "c.parquet", rows=11)
    cleaned = pq.read_table(tmp_path / "c.parquet")
    kept = [row for row in range(150) if row not in naive(scene)[0]]
    for name in more:
        assert repr(cleaned[name].to_pylist()) == repr(table[name].take(kept).to_pylist()), name
    assert cleaned.schema.remove_metadata().equals(table.schema)


def test_several_files_become_one(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "parts").mkdir()
    for k, (first, last) in enumerate(pairwise([0, 1, 60, 150])):
        pq.write_table(scene.table.slice(first, last - first), tmp_path / "parts" / f"{k}.parquet")
    jobs.inspect(scene.path, fix=tmp_path / "a.parquet")
    jobs.inspect(tmp_path / "parts", fix=tmp_path / "b.parquet", rows=13)
    assert pq.read_table(tmp_path / "a.parquet").equals(pq.read_table(tmp_path / "b.parquet"))


def test_an_empty_table_has_an_empty_copy(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with pq.ParquetWriter(scene.path, scene.table.schema) as writer:
        writer.write_table(scene.table.slice(0, 0))
    found = jobs.inspect(scene.path, scene.images, fix=tmp_path / "c.parquet")
    assert found.fix == {"rows": 0, "clipped": 0, "dropped": {}}
    assert pq.read_table(tmp_path / "c.parquet").schema.remove_metadata().equals(scene.table.schema)
    assert len(pq.read_table(tmp_path / "c.log.parquet")) == 0


def test_what_can_not_be_written_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    link = tmp_path / "link.parquet"
    link.symlink_to(scene.path)
    before = digest(scene.path), digest(scene.images)
    free = tmp_path / "free.parquet"
    for options in (
        {"out": scene.path},
        {"out": scene.images},
        {"fix": scene.path},
        {"fix": link},
        {"fix": scene.images},
        {"fix": free, "changes": scene.path},
        {"fix": free, "changes": free},
        {"fix": free, "out": free},
        {"fix": free, "out": tmp_path / "free.log.parquet"},
    ):
        with pytest.raises(InputError, match=r"choose another output path|choose another path for one"):
            jobs.inspect(scene.path, scene.images, **options)  # type: ignore[arg-type]
    ragged = pa.array([[[0.0, 0, 1, 1]]], pa.list_(pa.list_(pa.float64(), 4)))
    pq.write_table(pa.table({"image_id": [1], "bbox": ragged}), tmp_path / "r.parquet")
    with pytest.raises(InputError, match="one row per box to write a cleaned copy"):
        jobs.inspect(tmp_path / "r.parquet", fix=free)
    assert (digest(scene.path), digest(scene.images)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.parquet", "link.parquet", "r.parquet", "t.parquet"]


def test_nothing_is_left_of_a_copy_that_failed(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    ids = pa.array([*scene.table["image_id"].to_pylist()[:-1], None])
    pq.write_table(scene.table.set_column(0, "image_id", ids), scene.path)
    with pytest.raises(InputError, match=r"an image id in .* at row 149, got null"):
        jobs.inspect(scene.path, out=tmp_path / "p.parquet", fix=tmp_path / "c.parquet", rows=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.parquet", "t.parquet"]
