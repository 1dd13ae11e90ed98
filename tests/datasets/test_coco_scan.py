"""COCO JSON read by kernels: the same data set, or the same error, as element by element, wherever windows end."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.formats import coco
from fastbox.datasets.formats.coco import reading, scan
from fastbox.datasets.formats.coco.reading import dataset_of
from fastbox.errors import InputError
from fastbox.parallel import get_num_threads, set_num_threads

DAMAGE = b'{}[],:"0123456789.-+eE \n\t\\tfnu\x00\x1f\xff'
SIDES = ("x", "y", "w", "h")


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows so small that elements, numbers and keys lie across their borders, and columns become full."""
    monkeypatch.setattr(reading, "SMALL", 0)
    monkeypatch.setattr(reading, "WINDOW", 700)
    monkeypatch.setattr(scan, "SPAN", 200)


@pytest.fixture(autouse=True, params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(request.param)
    yield
    set_num_threads(before)


def outcome(read: Any, path: Path, kind: str | None = None) -> Any:
    """Return all that reading gives, bit by bit: the error, or the tables and the names."""
    try:
        dataset = read(path, kind)
        boxes = pa.Table.from_batches(list(dataset.batches), schema=dataset.schema)
    except InputError as error:
        return str(error)
    columns = {
        name: (column.combine_chunks().to_pylist(), column.type)
        if not pa.types.is_floating(column.type)
        else [None if value is None else np.float64(value).tobytes() for value in column.to_pylist()]
        for name, column in zip(boxes.column_names, boxes.columns, strict=True)
    }
    return dataset.kind, columns, dataset.images().to_pylist(), dataset.images().schema, dataset.categories


def check(path: Path, raw: bytes, kind: str | None = None) -> Any:
    path.write_bytes(raw)
    found = outcome(dataset_of, path, kind)
    assert found == outcome(reading._decoded, path, kind)
    return found


NUMBERS = st.one_of(
    st.integers(0, 900), st.floats(-1000, 1000).map(lambda x: round(x, 2)), st.floats(-1e6, 1e6),
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**70), 2**70), st.just(-0.0),
)  # fmt: skip
IDS = st.integers(-5, 2**63 - 1) | st.integers(0, 9)
ODD = st.sampled_from([None, "7", 1.0, True, "x", [], {}, math.nan, 2**63, -1, "\ud800"])
OUTLINES = st.lists(st.lists(NUMBERS, max_size=30), max_size=2) | st.just({"size": [4, 4], "counts": "a\\b`c"})


@st.composite
def records(draw: st.DrawFn, fields: dict[str, Any], optional: tuple[str, ...], odd: bool) -> list[dict[str, Any]]:
    """Objects with most of the fields in some order, and a few with an odd value."""
    made = []
    shuffled = draw(st.permutations(list(fields)))
    for _ in range(draw(st.integers(0, 12))):
        names = [name for name in shuffled if name not in optional or draw(st.integers(0, 3))]
        made.append({name: draw(fields[name]) for name in names})
    if odd and made:
        draw(st.sampled_from(made))[draw(st.sampled_from(list(fields)))] = draw(ODD)
    return made


BOXES = st.lists(NUMBERS, min_size=4, max_size=4)
TURNED = st.none() | st.lists(NUMBERS, min_size=5, max_size=5)
OPTIONAL = ("id", "iscrowd", "area", "segmentation", "ignore", "score", "obb")
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


def text_of(draw: st.DrawFn, whole: Any) -> bytes:
    raw = json.dumps(whole, **draw(STYLES)).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)):
        return draw(st.sampled_from([b"", b"\xef\xbb\xbf", b" \n"])) + raw + draw(st.sampled_from([b"", b"\n ", b"x"]))
    place, count = draw(st.integers(0, len(raw))), draw(st.integers(0, 2) | st.just(len(raw)))
    return raw[:place] + bytes(draw(st.lists(st.sampled_from(DAMAGE), max_size=2))) + raw[place + count :]


@st.composite
def results(draw: st.DrawFn) -> bytes:
    image = draw(st.sampled_from([IDS, st.text(max_size=6)]))
    fields = {"image_id": image, "category_id": st.integers(-3, 90), "bbox": BOXES, "score": NUMBERS, "more": OUTLINES}
    fields |= {"obb": TURNED} if draw(st.integers(0, 3)) == 0 else {}
    return text_of(draw, draw(records(fields, ("more", "obb"), draw(st.integers(0, 3)) == 0)))


@st.composite
def instances(draw: st.DrawFn) -> bytes:
    image = draw(st.sampled_from([IDS, st.text(max_size=6)]))
    odd = draw(st.integers(0, 5))
    truth = {
        "image_id": image, "category_id": st.integers(0, 9), "bbox": BOXES,
        "id": draw(st.sampled_from([IDS, st.text()])), "iscrowd": st.integers(0, 1) | st.booleans(),
        "area": NUMBERS | st.none(), "segmentation": OUTLINES,
    }  # fmt: skip
    truth |= {
        name: values for name, values in {"ignore": st.integers(0, 1), "score": NUMBERS}.items() if draw(st.booleans())
    }
    truth |= {"obb": TURNED} if draw(st.integers(0, 3)) == 0 else {}
    listed = {
        "id": image,
        "width": st.integers(0, 999),
        "height": st.integers(0, 999),
        "file_name": st.text(max_size=9),
        "licence": st.just(1),
    }
    whole = {
        "info": {"year": draw(st.sampled_from([2017, "ignore", None]))},
        "images": draw(records(listed, ("width", "height", "file_name", "licence"), odd == 1)),
        "annotations": draw(records(truth, OPTIONAL, odd == 2)),
        "categories": [{"id": number, "name": draw(st.text(max_size=3))} for number in range(draw(st.integers(0, 3)))],
    }  # fmt: skip
    names = draw(st.permutations(list(whole)))
    return text_of(draw, {name: whole[name] for name in names if name == "annotations" or draw(st.integers(0, 7))})


@given(results(), st.sampled_from([None, "results", "truths"]))
def test_results_are_read_as_element_by_element(folder: Path, raw: bytes, kind: str | None) -> None:
    check(folder / "results.json", raw, kind)


@given(instances(), st.sampled_from([None, "truths", "results"]))
def test_truths_are_read_as_element_by_element(folder: Path, raw: bytes, kind: str | None) -> None:
    check(folder / "truths.json", raw, kind)


def results_of(rows: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(rows)
    boxes = rng.uniform(-3, 900, (rows, 4)).round(2).tolist()
    return [
        {"image_id": k // 7, "category_id": k % 5, "bbox": box, "score": float(np.float32(k / rows))}
        for k, box in enumerate(boxes)
    ]


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to read anything element by element."""

    def refuse(*_: Any) -> None:
        raise AssertionError("read element by element")

    monkeypatch.setattr(reading, "_decoded", refuse)


def table(path: Path) -> dict[str, list[Any]]:
    dataset = coco.read(path)
    columns: dict[str, list[Any]] = pa.Table.from_batches(list(dataset.batches), schema=dataset.schema).to_pydict()
    return columns


@pytest.mark.parametrize("packed", ["plain", "gzip", "gzip in parts", "zstd"])
def test_plain_and_packed_files_are_read_by_kernels(tmp_path: Path, strict: None, packed: str) -> None:
    wanted = results_of(300)
    raw, path = json.dumps(wanted).encode(), tmp_path / "results.json"
    if packed == "zstd":
        with pa.CompressedOutputStream(str(path), "zstd") as file:
            file.write(raw)
    else:
        parts = {"plain": [raw], "gzip": [gzip.compress(raw)]}.get(packed)
        path.write_bytes(b"".join(parts or [gzip.compress(raw[:999]), gzip.compress(raw[999:])]))
    found = table(path)
    assert list(zip(*(found[side] for side in SIDES), strict=True)) == [tuple(row["bbox"]) for row in wanted]
    for name in ("image_id", "category_id", "score"):
        assert found[name] == [row[name] for row in wanted]


def test_truths_are_read_by_kernels_in_any_order_of_keys(tmp_path: Path, strict: None) -> None:
    annotations = [
        {"segmentation": [[1.5, 2] * 40], "bbox": row["bbox"], "id": k, "iscrowd": k % 2, "category_id": 3,
         "image_id": f"{k}.jpg", "area": None if k % 3 else k / 7, "attributes": {"occluded": False}, "obb": None}
        for k, row in enumerate(results_of(40))
    ]  # fmt: skip
    whole = {
        "categories": [{"id": 3, "name": "ca\tt", "keypoints": ["a"]}], "annotations": annotations, "info": {},
        "images": [{"file_name": "é.jpg", "id": "1.jpg", "width": 4}],
    }  # fmt: skip
    path = tmp_path / "truths.json"
    path.write_text(json.dumps(whole))
    found, dataset = table(path), coco.read(path)
    assert dataset.categories == {3: "ca\tt"}
    assert dataset.images().to_pylist() == [{"image_id": "1.jpg", "width": 4, "height": None, "file_name": "é.jpg"}]
    assert list(zip(*(found[side] for side in SIDES), strict=True)) == [tuple(row["bbox"]) for row in annotations]
    for name in ("image_id", "id", "iscrowd", "area"):
        assert found[name] == [row[name] for row in annotations]


def test_the_list_behind_a_short_one_is_read_once(
    tmp_path: Path, strict: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_num_threads(1)  # another thread may begin before the end of the short list is known
    monkeypatch.setattr(reading, "WINDOW", 1 << 20)
    read, plain = [], scan._Span.read

    def counted(span: Any, windows: Any, begin: int, limit: int) -> None:
        plain(span, windows, begin, limit)
        read.append(span.at - begin)

    monkeypatch.setattr(scan._Span, "read", counted)
    boxes = [{"id": k, "image_id": 1, "category_id": 2, "bbox": [0.5, k, 3, 4]} for k in range(300)]
    path = tmp_path / "truths.json"
    path.write_text(json.dumps({"images": [{"id": 1}], "annotations": boxes}))
    assert table(path)["id"] == [*range(300)]
    assert len(read) > 50
    assert sum(read) < 1.1 * path.stat().st_size


@pytest.mark.parametrize("k", [0, 150, 299])
def test_a_result_that_no_kernel_takes_is_read_or_named(tmp_path: Path, k: int) -> None:
    rows = results_of(300)
    rows[k]["category_id"] = "4"
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rows))
    assert table(path)["category_id"] == [int(row["category_id"]) for row in rows]
    rows[k]["bbox"] = [1, 2]
    path.write_text(json.dumps(rows))
    with pytest.raises(InputError, match=rf"result {k} \(image_id {k // 7}\) of .*results.json has bbox \[1, 2\] of 2"):
        table(path)


@pytest.mark.parametrize("where", ["name", "key", "text", "nowhere"])
def test_the_word_ignore_anywhere_makes_a_column(tmp_path: Path, where: str) -> None:
    more = {"key": {"attributes": {"ignore": 1}}, "text": {"note": ['a"ignore']}}.get(where, {})
    truth = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}
    names = [{"id": 1, "name": "ignore" if where == "name" else "ignored"}]
    raw = json.dumps({"annotations": [truth, truth | more], "categories": names}).encode()
    _, columns, *_ = check(tmp_path / "truths.json", raw)
    assert ("ignore" in columns) == (where != "nowhere")


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_packed_file_that_was_cut_short_is_refused(tmp_path: Path, ending: str) -> None:
    raw = json.dumps(results_of(300)).encode()
    packed = gzip.compress(raw) if ending == "gz" else pa.compress(raw, "zstd", asbytes=True)
    path = tmp_path / f"results.json.{ending}"
    path.write_bytes(packed[:-900])
    with pytest.raises(InputError, match=rf"results.json.{ending} can't be unpacked: copy or pack it again"):
        table(path)
