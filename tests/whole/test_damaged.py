"""Damaged files and tables of any schema give a sentence or a result."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.faults import table

from fastbox import InputError, jobs
from fastbox.fragments.run import spread

MUTATIONS = int(os.environ.get("FASTBOX_MUTATIONS", "400"))  # 10,000 and more by hand


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """Bytes with some of them changed, cut off or left out; half the time in the footer."""
    changed = bytearray(data)
    how = rng.random()
    if how < 0.8:
        last = len(data) if how < 0.4 else min(len(data), 2500)
        for place in rng.integers(1, last + 1, rng.choice([1, 1, 2, 5, 20])).tolist():
            changed[-place] = int(rng.integers(256))
    elif how < 0.9:
        del changed[int(rng.integers(len(data))) :]
    else:
        first = int(rng.integers(len(data)))
        del changed[first : first + int(rng.integers(1, 200))]
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.jit
def test_damaged_files_give_a_sentence_or_a_result(tmp_path: Path) -> None:
    truths, bad, out = tmp_path / "t.parquet", tmp_path / "bad.parquet", tmp_path / "o.parquet"
    pq.write_table(table(60, 1), truths)
    variants = []
    for options in ({"compression": "none"}, {"compression": "zstd"}, {"use_dictionary": False, "row_group_size": 20}):
        pq.write_table(table(100), bad, **options)
        variants.append(bad.read_bytes())
    calls = [
        lambda: jobs.nms(bad, out),
        lambda: jobs.pairs(bad, truths, out),
        lambda: jobs.evaluate(bad, truths),
        lambda: jobs.suspects(bad, truths),
        lambda: jobs.inspect(bad),
        lambda: jobs.plan(bad, truths),
    ]
    rng = np.random.default_rng(6)
    refused = 0
    for number in range(MUTATIONS):
        bad.write_bytes(damaged(rng, variants[number % len(variants)]))
        try:
            calls[int(rng.integers(len(calls)))]()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert 0 < refused < MUTATIONS


@pytest.mark.parametrize("layout", ["flat", "ragged"])
def test_names_in_row_groups_need_not_be_text(tmp_path: Path, layout: str) -> None:
    """A footer names its columns once for the file, which counts, and again in every row group."""
    path = tmp_path / "t.parquet"
    ragged = pa.table({"image_id": [1, 2], "bbox": [[[0.0, 0, 2, 2]] * 3, [[1.0, 1, 2, 2]]]})
    pq.write_table(ragged if layout == "ragged" else table(100), path, row_group_size=50)
    expected = jobs.plan(path).to_dict(), jobs.inspect(path).to_dict()
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for name in (b"image_id", b"bbox" if layout == "ragged" else b"xmin"):
        first = data.index(name, footer) + len(name)
        assert name in data[first:]
        data = data[:first] + data[first:].replace(name, b"\xe3" * len(name))
    path.write_bytes(data)
    assert (jobs.plan(path).to_dict(), jobs.inspect(path).to_dict()) == expected


FLIPPED = """
import sys
from pathlib import Path
from fastbox import jobs
from fastbox.errors import InputError

path = Path(sys.argv[1])
data = path.read_bytes()
footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
refused = 0
for place in range(footer, len(data) - 8, int(sys.argv[2])):
    for bit in range(8):
        changed = bytearray(data)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        try:
            jobs.plan(path)
        except InputError:
            refused += 1
print(refused)
"""


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("layout", ["flat", "names", "ragged"])
def test_no_bit_of_a_footer_ends_the_process(layout: str, tmp_path: Path) -> None:
    """Arrow throws where nobody catches, if asked for some of what damaged footers tell of a column."""
    path = tmp_path / "t.parquet"
    ids: list[Any] = ["one", "two"] if layout == "names" else [1, 2]
    sides = {"xmin": [0.0, 1], "ymin": [0.0, 1], "xmax": [2.0, 3], "ymax": [2.0, 3]}
    boxes = {"bbox": [[[0.0, 0, 2, 2]] * 3, [[1.0, 1, 2, 2]]]} if layout == "ragged" else sides
    pq.write_table(pa.table({"image_id": ids, **boxes}), path)
    steps = "1" if MUTATIONS >= 10_000 else "3"
    run = subprocess.run([sys.executable, "-c", FLIPPED, str(path), steps], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout) > 100


KNOWN = ["image_id", "xmin", "ymin", "xmax", "ymax", "bbox", "score", "category_id", "id", "width", "iscrowd", "area"]


KINDS: list[Any] = [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), pa.null()]


KINDS += [pa.date32(), pa.timestamp("ns", "UTC"), pa.decimal128(9, 2), pa.dictionary(pa.int8(), pa.string())]


KINDS += [pa.list_(pa.float32()), pa.list_(pa.float64(), 4), pa.list_(pa.list_(pa.float32(), 4)), pa.large_string()]


KINDS += [pa.map_(pa.string(), pa.int8()), pa.struct({"xmin": pa.float32(), "bbox": pa.list_(pa.float32())})]


def any_value(rng: np.random.Generator, kind: Any) -> Any:
    if rng.random() < 0.02 or pa.types.is_null(kind):
        return None
    if pa.types.is_struct(kind):
        return {field.name: any_value(rng, field.type) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else int(rng.choice([0, 1, 4]))
        return [any_value(rng, kind.value_type) for _ in range(length)]
    if pa.types.is_map(kind):
        return [("a", 1)]
    if pa.types.is_floating(kind):
        return np.float16(rng.choice([0, 1.5, 30, -2, np.nan, np.inf, 60_000]))
    if pa.types.is_decimal(kind):
        return Decimal(int(rng.integers(100)))
    if pa.types.is_boolean(kind):
        return bool(rng.random() < 0.5)
    if pa.types.is_binary(kind):
        return bytes([rng.integers(256)])
    return int(rng.choice([0, 1, 3, 100])) if not _is_text(kind) else str(rng.choice(["", "a", "7", "é"]))


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)


def any_table(rng: np.random.Generator) -> pa.Table:
    """A table of boxes of which some columns are gone, doubled, or of another type and with other values."""
    rows = table(int(rng.choice([0, 1, 30])), 3)
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    for name in rng.choice(KNOWN, int(rng.integers(5))).tolist():
        kind = KINDS[int(rng.integers(len(KINDS)))]
        columns[name] = pa.array([any_value(rng, kind) for _ in range(len(rows))], kind)
    names = [name for name in columns if rng.random() < 0.95]
    names += names[:1] if rng.random() < 0.05 else []
    # What a footer says of a table may be anything too.
    absurd: list[dict[bytes, bytes]] = [{b"fastbox": b"{"}, {b"fastbox": b"[]"}, {b"fastbox": b"\xff"}, {b"": b""}]
    absurd += [{b"fastbox": b'{"fingerprint": 1, "aggregate": 7, "categories": 3}'}, {b"pandas": b"x" * 5000}]
    absurd += [
        {b"fastbox": b'{"command": "convert", "parameters": {"kind": [], "format": 3}, "categories": {"x": []}}'}
    ]
    made = pa.Table.from_arrays([columns[name] for name in names], names)
    return made.replace_schema_metadata(absurd[int(rng.integers(len(absurd)))])


@pytest.mark.slow
@pytest.mark.jit
def test_tables_of_any_schema_give_a_sentence_or_a_result(tmp_path: Path) -> None:
    bad, truths, out = tmp_path / "bad.parquet", tmp_path / "t.parquet", tmp_path / "o.parquet"
    pq.write_table(table(60, 1), truths)
    calls = [
        lambda: jobs.nms(bad, out),
        lambda: jobs.pairs(bad, truths, out, threshold=0.1),
        lambda: jobs.pairs(truths, bad, threshold=0.1),
        lambda: jobs.evaluate(bad, truths),
        lambda: jobs.evaluate(truths, bad),
        lambda: jobs.suspects(truths, bad),
        lambda: jobs.inspect(bad, bad),
        lambda: jobs.inspect(bad, fix=out),
        lambda: jobs.plan(bad, truths),
        lambda: jobs.measure(bad, out),
        lambda: spread(jobs.nms, bad, out=tmp_path),
        lambda: jobs.convert(bad, tmp_path / "o.json"),
    ]
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(MUTATIONS):
        try:
            pq.write_table(any_table(rng), bad)
        except pa.ArrowNotImplementedError:
            continue
        try:
            calls[int(rng.integers(len(calls)))]()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 0 < refused < MUTATIONS
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
