"""From Parquet to numbers: scanning, measuring and pairing files, above the time it takes to decode them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import fastbox
from bench.conftest import THREADS, Case
from bench.support import tables
from bench.support.shapes import Sizes
from fastbox.arrow.find import find_boxes
from fastbox.boxes.found import to_boxes
from fastbox.jobs.measure import measure
from fastbox.jobs.pairs import pairs
from fastbox.jobs.synthesize import synthesize
from fastbox.tables.columns import read_batches
from fastbox.tables.files import count_rows
from fastbox.tables.sink import Sink

ROWS, IMAGES = 2_000_000, 20_000
ROUNDS = 5


@pytest.fixture(scope="module")
def pairs_file(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    tables.write_pairs(path, sizes.of(ROWS))
    return path


@pytest.fixture(scope="module")
def images_files(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("images")
    truths, detections = folder / "truths.parquet", folder / "detections.parquet"
    synthesize(truths, count=sizes.of(IMAGES), detections=detections)
    return detections, truths


def facts(kernel: str, path: Path, size: str, *others: Path) -> dict[str, Any]:
    """Return the facts of a case of one stream."""
    rows = sum(count_rows(file) for file in (path, *others))
    bytes_read = sum(file.stat().st_size for file in (path, *others))
    common = {"kernel": kernel, "dtype": "float32", "size": size, "shape": f"{rows} rows", "rounds": ROUNDS}
    return common | {"boxes": rows * (2 if size == "pairs" else 1), "moved": bytes_read}


def test_decode_pairs(case: Case, pairs_file: Path) -> None:
    case(lambda: tables.decode(pairs_file), name="decode", role="floor", **facts("stream", pairs_file, "pairs"))


def test_read_pairs(case: Case, pairs_file: Path) -> None:
    def read() -> int:
        return sum(batch.num_rows for _, _, batch in read_batches(pairs_file, list(tables.COLUMNS)))

    case(read, name="fastbox read", role="ours", **facts("stream", pairs_file, "pairs"))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("metric", fastbox.METRICS)
def test_read_and_align(case: Case, pairs_file: Path, metric: str, threads: int) -> None:
    def run() -> None:
        for _, _, batch in read_batches(pairs_file, list(tables.COLUMNS)):
            sides = (to_boxes(batch, find_boxes(batch.schema, prefix=prefix)) for prefix in ("pred_", "target_"))
            fastbox.aligned(*sides, metric=metric)

    case(
        run,
        name="fastbox read, aligned",
        role="ours",
        metric=metric,
        threads=threads,
        **facts("stream", pairs_file, "pairs"),
    )


@pytest.mark.parametrize("encoding", tables.ENCODINGS)
def test_reencode(case: Case, pairs_file: Path, tmp_path: Path, encoding: str) -> None:
    case(
        lambda: tables.reencode(pairs_file, tmp_path / "again.parquet", encoding),
        name=f"decode and encode, {encoding}",
        role="floor",
        **facts("measure", pairs_file, "pairs"),
    )


def test_sink(case: Case, pairs_file: Path, tmp_path: Path) -> None:
    def run() -> None:
        batches = read_batches(pairs_file, list(tables.COLUMNS))
        _, _, first = next(batches)
        with Sink(tmp_path / "again.parquet", first.schema, command="bench", parameters={}) as sink:
            sink.write(first)
            for _, _, batch in batches:
                sink.write(batch)

    case(run, name="fastbox read, Sink", role="ours", **facts("measure", pairs_file, "pairs"))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("written", [False, True], ids=["summary", "columns"])
def test_measure(case: Case, pairs_file: Path, tmp_path: Path, written: bool, threads: int) -> None:
    out = tmp_path / "measured.parquet" if written else None
    case(
        lambda: measure(pairs_file, out, metrics=tables.METRICS),
        name="fastbox measure" if written else "fastbox measure, summary only",
        role="ours",
        metric=",".join(tables.METRICS),
        threads=threads,
        **facts("measure", pairs_file, "pairs"),
    )


def test_decode_images(case: Case, images_files: tuple[Path, Path]) -> None:
    columns = ("image_id", "xmin", "ymin", "xmax", "ymax")
    case(
        lambda: [tables.decode(file, columns) for file in images_files],
        name="decode",
        role="floor",
        **facts("scan", images_files[0], "images", images_files[1]),
    )


def test_scan(case: Case, images_files: tuple[Path, Path]) -> None:
    case(
        lambda: sum(len(chunk.a) for chunk in fastbox.scan(*images_files)),
        name="fastbox scan",
        role="ours",
        **facts("scan", images_files[0], "images", images_files[1]),
    )


@pytest.mark.parametrize("threads", THREADS)
def test_scan_and_match(case: Case, images_files: tuple[Path, Path], threads: int) -> None:
    case(
        lambda: [fastbox.best(chunk.a, chunk.b) for chunk in fastbox.scan(*images_files)],
        name="fastbox scan, best",
        role="ours",
        metric="iou",
        threads=threads,
        **facts("scan", images_files[0], "images", images_files[1]),
    )


@pytest.mark.parametrize("threads", THREADS)
def test_pairs(case: Case, images_files: tuple[Path, Path], tmp_path: Path, threads: int) -> None:
    case(
        lambda: pairs(*images_files, out=tmp_path / "pairs.parquet", threshold=0.5),
        name="fastbox pairs",
        role="ours",
        metric="iou",
        threads=threads,
        **facts("scan", images_files[0], "images", images_files[1]),
    )
