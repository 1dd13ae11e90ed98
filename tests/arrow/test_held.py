"""Tables in memory: whatever a column is held in it is read, or named; those without rows need no types."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import Boxes, InputError, jobs
from fastbox.fragments import spread

pandas = pytest.importorskip("pandas", reason="pandas is not installed")
polars = pytest.importorskip("polars", reason="polars is not installed")

CORNERS = ("xmin", "ymin", "xmax", "ymax")
NAMES = ("image_id", "category_id", *CORNERS, "score")
HASH = 2**63 + 5


def held(ids: Any, **more: Any) -> dict[str, Any]:
    """Two boxes of these images."""
    corners = dict(zip(CORNERS, ([0.0, 5], [0.0, 5], [4.0, 9], [4.0, 9]), strict=True))
    return {"image_id": ids, **corners, **more}


HOLDERS: dict[str, Any] = {
    "list": [1, 2],
    "tuple": (1, 2),
    "range": range(1, 3),
    "big endian": np.array([1, 2], ">i8"),
    "strided": np.array([1, 0, 2])[::2],
    "masked": np.ma.masked_array([1, 2], mask=False),
    "scalars": [np.array(1), np.array(2)],
    "sparse": pandas.Series(pandas.arrays.SparseArray([1, 2])),
    "nullable": pandas.Series([1, 2], dtype="Int64"),
    "categorical": pandas.Series([1, 2]).astype("category"),
    "polars": polars.Series([1, 2], dtype=polars.UInt64),
    "chunks": pa.chunked_array([[1], [2]]),
    "dictionary": pa.array([1, 2]).dictionary_encode(),
}


@pytest.mark.parametrize("ids", HOLDERS.values(), ids=HOLDERS)
def test_ids_may_be_held_in_anything(ids: Any) -> None:
    given = held(ids, category_id=ids, score=[0.5, 0.5])
    assert Boxes(given).images.tolist() == [1, 2]
    assert fastbox.best(given, given).indices.tolist() == [0, 1]
    assert jobs.nms(given).kept == 2


@pytest.mark.parametrize("holder", [list, np.array, pandas.Series, lambda values: np.array(values, object)])
def test_hashes_are_classes_and_no_image_ids(holder: Callable[[list[int]], Any], tmp_path: pathlib.Path) -> None:
    given = held([1, 1], category_id=holder([HASH, HASH + 1]), score=[0.5, 0.5])
    jobs.nms(given, tmp_path / "kept.parquet")
    assert sorted(pq.read_table(tmp_path / "kept.parquet")["category_id"].to_pylist()) == [HASH, HASH + 1]
    with pytest.raises(InputError, match=f"from -2\\*\\*63 to 2\\*\\*63 - 1 in column 'image_id' of boxes.*{HASH}"):
        Boxes(held(holder([HASH, HASH])))


NEITHER: dict[str, Any] = {
    "beyond": [1, 2**64],
    "mixed": [-1, 2**63],
    "kinds": [1, "a"],
    "objects": [object(), object()],
    "paths": [pathlib.Path("a"), pathlib.Path("b")],
    "set": {1, 2},
    "number": 5,
}


@pytest.mark.parametrize("ids", NEITHER.values(), ids=NEITHER)
def test_what_can_be_no_column_is_named(ids: Any) -> None:
    said = r"of one type in column '{}' of {}, got .*: cast it"
    for call in (Boxes, lambda given: fastbox.best(given, given), fastbox.Boxes.from_arrow):
        with pytest.raises(InputError, match=said.format("image_id", "(boxes|a|table)")):
            call(held(ids))
    with pytest.raises(InputError, match=said.format("category_id", r"detections \(a dict\)")):
        jobs.nms(held([1, 2], category_id=ids, score=[1, 1]))


@pytest.mark.parametrize("ids", [ids for name, ids in NEITHER.items() if name not in ("set", "number")])
def test_a_column_that_nobody_needs_stands_in_no_way(ids: Any) -> None:
    frame = pandas.DataFrame(held([1, 2], extra=pandas.Series(ids, dtype=object)))
    assert fastbox.best(frame, frame).indices.tolist() == [0, 1]
    wrong = frame.drop(columns="image_id").rename(columns={"extra": "image_id"})
    with pytest.raises(InputError, match="one type in column 'image_id' of a, got object: cast it"):
        fastbox.best(wrong, wrong)
    wrong = frame.drop(columns="xmax").rename(columns={"extra": "xmax"})
    with pytest.raises(InputError, match="one type in column 'xmax' of boxes, got object: cast it"):
        Boxes(wrong)


# Image ids

FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "index": lambda given: pandas.DataFrame(given).set_index("image_id"),
    "levels": lambda given: pandas.DataFrame({**given, "k": 7}).set_index(["k", "image_id"]),
    "beside a column that can't be read": lambda given: pandas.DataFrame(
        {**given, "file": [pathlib.Path("a"), 1]}
    ).set_index("image_id"),
    "big endian": lambda given: pandas.DataFrame(given).astype({"image_id": ">i4"}),
    "lazy": lambda given: polars.DataFrame(given).lazy(),
    "ImageID": lambda given: pandas.DataFrame(given).rename(columns={"image_id": "ImageID"}),
}


@pytest.mark.parametrize("made", FRAMES.values(), ids=FRAMES)
def test_image_ids_are_never_overlooked(made: Callable[[dict[str, Any]], Any], request: pytest.FixtureRequest) -> None:
    same = dict(zip(CORNERS, ([0.0, 0], [0.0, 0], [4.0, 4], [4.0, 4]), strict=True))
    first, second = (made({"image_id": ids, **same}) for ids in ([1, 2], [2, 3]))
    assert fastbox.best(first, second).indices.tolist() == [-1, 0]
    if "read" not in request.node.name:
        assert jobs.pairs(first, second).pairs == 1


@pytest.mark.parametrize("name", ["image_id", "img_id", "ImageID", "frame_id", "image"])
@pytest.mark.parametrize("ids", [[1.0, 2.0], [1.0, None], [b"a", b"b"], [True, False]], ids=str)
def test_image_ids_of_another_type_are_refused_unless_they_may_be_images(name: str, ids: list[Any]) -> None:
    corners = {key: column for key, column in held(ids).items() if key != "image_id"}
    frame = pa.table({name: pa.array(ids), **corners})
    if name in ("frame_id", "image") and not isinstance(ids[0], float):
        assert Boxes(frame).images is None
        return
    with pytest.raises(InputError, match=f"expected integers or strings in column '{name}' of boxes, got .*: cast it"):
        Boxes(frame)
    assert Boxes.from_arrow(frame, image=False).images is None


def test_a_column_that_is_there_twice_is_said() -> None:
    frame = pandas.DataFrame(held([1, 2]))
    twice = pandas.concat([frame, frame[["image_id"]]], axis=1)
    for call in (Boxes, jobs.inspect):
        with pytest.raises(InputError, match=r"expected one column 'image_id' in .*, got 2: rename all but one"):
            call(twice)
    other = pandas.concat([frame.assign(k=1), frame[["xmin"]].rename(columns={"xmin": "k"})], axis=1)
    assert len(Boxes(other)) == 2


def test_a_frame_of_an_array_is_the_array() -> None:
    array = np.array([[0.0, 0, 4, 4], [1, 1, 5, 5]])
    assert Boxes(pandas.DataFrame(array)).corners().tolist() == array.tolist()


# Without rows

NOTHING: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pandas.DataFrame(columns=list(NAMES)),
    "lists": lambda: pandas.DataFrame({name: [] for name in NAMES}),
    "floats": lambda: pandas.DataFrame({name: np.array([]) for name in NAMES}),
    "dict": lambda: {name: [] for name in NAMES},
    "polars": lambda: polars.DataFrame({name: [] for name in NAMES}),
    "arrow": lambda: pa.table({name: pa.nulls(0) for name in NAMES}),
    "bbox": lambda: pandas.DataFrame({name: [] for name in ("image_id", "category_id", "bbox", "score")}),
    "strings": lambda: pa.table(
        {name: pa.array([], pa.string() if name in NAMES[:2] else pa.float32()) for name in NAMES}
    ),
}
TRUTHS: dict[str, dict[str, Any]] = {
    "numbers": held([1, 2], category_id=[3, 4], score=[1.0, 1]),
    "text": held(["a", "b"], category_id=["c", "d"], score=[1.0, 1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("truths", TRUTHS.values(), ids=TRUTHS)
@pytest.mark.parametrize("made", NOTHING.values(), ids=NOTHING)
def test_nothing_needs_no_types(made: Callable[[], Any], truths: dict[str, Any], tmp_path: pathlib.Path) -> None:
    file = tmp_path / "nothing.parquet"
    for nothing in (made(), file):
        if nothing is file:
            pq.write_table(pa.table(made()), file)
        found = jobs.evaluate(nothing, truths).to_dict()
        assert found["detections"] == 0 and found["errors"]["counts"]["missed"] == 2
        assert jobs.pairs(nothing, truths, class_agnostic=False).pairs == 0
        assert jobs.pairs(truths, nothing, class_agnostic=False).unmatched == 2
        assert jobs.inspect(nothing).to_dict()["boxes"] == 0
        for tables in ([nothing, truths], [truths, nothing]):
            out = tmp_path / "fused.parquet"
            assert jobs.fuse(tables, out).fused == 2
            fused = pq.read_table(out).sort_by("image_id")
            assert fused["category_id"].to_pylist() == truths["category_id"]
            assert fused["image_id"].to_pylist() == truths["image_id"]
        jobs.nms(nothing, tmp_path / "kept.parquet")
        assert pq.read_table(tmp_path / "kept.parquet").num_rows == 0
        assert jobs.convert(nothing, tmp_path / "out.json")["rows"] == 0
    boxes = {name: column for name, column in truths.items() if name in ("image_id", *CORNERS)}
    assert len(Boxes(made())) == 0
    assert fastbox.best(made(), boxes).indices.tolist() == []
    assert fastbox.best(boxes, made()).indices.tolist() == [-1, -1]


@pytest.mark.parametrize("first", ["a", "z"])
def test_a_part_without_rows_needs_none_either(first: str, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    pandas.DataFrame(columns=list(NAMES)).to_parquet(folder / f"{first}.parquet")
    for name, ids in (("m", [3, 4]), ("n", [1, 2])):
        pq.write_table(pa.table(held(ids, category_id=[1, 1], score=[0.5, 0.5])), folder / f"{name}.parquet")
    found = jobs.nms(folder, tmp_path / "kept.parquet")
    assert found.kept == 4
    assert pq.read_table(tmp_path / "kept.parquet")["image_id"].to_pylist() == [1, 2, 3, 4]
    jobs.sort(folder, tmp_path / "sorted.parquet")
    assert pq.read_table(tmp_path / "sorted.parquet")["image_id"].to_pylist() == [1, 2, 3, 4]
    assert jobs.convert(folder, tmp_path / "out.json")["rows"] == 4
    assert spread(jobs.nms, folder, fragment_rows=1).kept == 4
    assert not jobs.plan(folder).to_dict()["inputs"][0]["sorted"]


def test_types_that_nothing_has_stay(tmp_path: pathlib.Path) -> None:
    kinds = {name: pa.int32() if name in NAMES[:2] else pa.float64() for name in NAMES}
    pq.write_table(pa.schema(kinds).empty_table(), tmp_path / "nothing.parquet")
    jobs.nms(tmp_path / "nothing.parquet", tmp_path / "kept.parquet")
    assert pq.read_schema(tmp_path / "kept.parquet").types[: len(kinds)] == list(kinds.values())


def test_columns_of_nulls_alone_are_named_with_their_row() -> None:
    given = held([1, 2], category_id=[1, 1], score=[0.5, 0.5])
    for name, said in (
        ("image_id", "an image id"),
        ("xmax", "a number"),
        ("category_id", "a class"),
        ("score", "a score"),
    ):
        with pytest.raises(InputError, match=rf"expected {said} in column '{name}'.* null.*row 0|row 0.*null"):
            jobs.nms({**given, name: [None, None]})


@pytest.mark.parametrize("video", ["video_id", "Sequence", "clip_id"])
def test_frames_of_several_videos_are_not_taken_for_one(video: str) -> None:
    corners = {key: column for key, column in held([1, 1]).items() if key != "image_id"}
    frame = {"frame_id": [1, 1], video: [7, 8], **corners}
    for call in (Boxes, jobs.inspect):
        with pytest.raises(InputError, match=f"got 'frame_id' beside '{video}', each of which may"):
            call(frame)
    assert jobs.inspect(fastbox.Source(frame, image="frame_id")).to_dict()["images"] == 1
    assert Boxes({**frame, "image_id": [1, 2]}).images.tolist() == [1, 2]
