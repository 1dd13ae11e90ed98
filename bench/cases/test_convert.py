"""COCO JSON to a table of boxes, above the time in which json.load and msgspec make lists and dicts of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.conftest import Case
from bench.promises import formats
from bench.support.shapes import Sizes
from fastbox.jobs import convert

ROWS, IMAGES, ROUNDS = 100_000, 14_000, 3


@pytest.fixture(scope="module")
def instances(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("convert") / "train.json"
    formats.write_instances(path, sizes.of(ROWS), sizes.of(IMAGES))
    return path


@pytest.fixture
def facts(instances: Path, sizes: Sizes) -> dict[str, Any]:
    rows = sizes.of(ROWS)
    common = {"kernel": "convert", "dtype": "float64", "size": "json", "shape": f"{rows} annotations with outlines"}
    return common | {"boxes": rows, "moved": instances.stat().st_size, "rounds": ROUNDS}


def boxes_of(found: Any) -> list[list[float]]:
    return [truth["bbox"] for truth in sorted(found["annotations"], key=lambda truth: truth["image_id"])]


def test_convert_to_parquet(case: Case, instances: Path, facts: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "train.parquet"

    def check(summary: dict[str, Any]) -> None:
        table = pq.read_table(out, columns=["x", "y", "w", "h"])
        assert summary["rows"] == table.num_rows
        assert list(map(list, zip(*table.to_pydict().values(), strict=True))) == boxes_of(
            json.loads(instances.read_bytes())
        )

    case(lambda: convert(instances, out), name="fastbox convert", role="ours", expected=check, **facts)


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_convert_packed(case: Case, instances: Path, facts: dict[str, Any], tmp_path: Path, ending: str) -> None:
    source, out = tmp_path / f"train.json.{ending}", tmp_path / "train.parquet"
    with pa.CompressedOutputStream(str(source), {"gz": "gzip", "zst": "zstd"}[ending]) as file:
        file.write(instances.read_bytes())

    def check(summary: dict[str, Any]) -> None:
        assert summary["rows"] == facts["boxes"]

    facts = facts | {"kernel": f"convert .{ending}"}
    case(lambda: convert(source, out), name=f"fastbox convert, .json.{ending}", role="ours", expected=check, **facts)


def test_convert_to_json(case: Case, instances: Path, facts: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "again.json"

    def check(_: dict[str, Any]) -> None:
        assert boxes_of(json.loads(out.read_bytes())) == boxes_of(json.loads(instances.read_bytes()))

    facts = facts | {"kernel": "convert to JSON"}
    case(lambda: convert(instances, out), name="fastbox convert, to JSON", role="ours", expected=check, **facts)


def test_load_with_json(case: Case, instances: Path, facts: dict[str, Any]) -> None:
    def load() -> Any:
        with instances.open("rb") as file:
            return json.load(file)

    case(load, name="json.load", role="peer", **facts)


def test_load_with_msgspec(case: Case, instances: Path, facts: dict[str, Any]) -> None:
    case(lambda: msgspec.json.decode(instances.read_bytes()), name="msgspec decode", role="floor", **facts)
