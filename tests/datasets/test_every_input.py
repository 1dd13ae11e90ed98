"""Every command on every input: the figures are those of the sorted table, the rows those that were given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastbox import Boxes, InputError, Source, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.fragments import spread

SCORELESS = {"voc"}  # formats that keep no scores
IMAGES, SIDE = 7, 256
N = 60


def table(*, scores: bool, texts: bool = False, seed: int = 0) -> pa.Table:
    """Boxes of whole and half pixels, sorted by image; none in the last images of the list."""
    rng = np.random.default_rng(seed)
    ids = np.sort(np.concatenate([np.arange(IMAGES), rng.integers(0, IMAGES, N - IMAGES)]))
    low = rng.integers(0, SIDE // 2, (N, 2)) * 0.5
    sides = rng.integers(20, SIDE // 2, (N, 2)) * 0.5
    columns: dict[str, Any] = {
        "image_id": [f"img{k:02d}" for k in ids] if texts else ids,
        "category_id": rng.integers(0, 3, N).astype(np.int32),
        **dict(zip(("xmin", "ymin"), low.T, strict=True)),
        **dict(zip(("xmax", "ymax"), (low + sides).T, strict=True)),
    }
    if scores:
        columns["score"] = rng.permutation(N) / N
    return pa.table(columns)


def mixed(rows: pa.Table) -> pa.Table:
    return rows.take(pa.array(np.random.default_rng(9).permutation(len(rows))))


def write(path: Path, rows: pa.Table, **options: Any) -> str:
    pq.write_table(rows, path, **options)
    return str(path)


def as_parquet(folder: Path, rows: pa.Table) -> Any:
    return write(folder / "sorted.parquet", rows)


def as_unsorted(folder: Path, rows: pa.Table) -> Any:
    return write(folder / "unsorted.parquet", mixed(rows))


def as_unsorted_groups(folder: Path, rows: pa.Table) -> Any:
    return write(folder / "groups.parquet", mixed(rows), row_group_size=7)


def as_files(folder: Path, rows: pa.Table) -> Any:
    own = mixed(rows)
    return [write(folder / "one.parquet", own.slice(0, 25)), write(folder / "two.parquet", own.slice(25))]


def as_other_names(folder: Path, rows: pa.Table) -> Any:
    names = {"image_id": "ImageID", "category_id": "Label", "score": "Confidence"}
    names |= {"xmin": "X1", "ymin": "Y1", "xmax": "X2", "ymax": "Y2"}
    return write(folder / "names.parquet", mixed(rows).rename_columns([names[n] for n in rows.column_names]))


def as_lists(folder: Path, rows: pa.Table) -> Any:
    """A row for each image."""
    frame = rows.to_pandas()
    frame["bbox"] = frame[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist()
    kept = [name for name in ("bbox", "category_id", "score") if name in frame]
    listed = frame.groupby("image_id")[kept].agg(list).reset_index()
    return write(folder / "lists.parquet", pa.Table.from_pandas(listed.sample(frac=1, random_state=1)))


def converted(format: str, name: str) -> Callable[[Path, pa.Table], Any]:
    def make(folder: Path, rows: pa.Table) -> Any:
        sizes = pa.table({"width": np.full(len(rows), SIDE, np.int32), "height": np.full(len(rows), SIDE, np.int32)})
        for column in sizes.column_names:
            rows = rows.append_column(column, sizes[column])
        names = pa.array([f"c{k}" for k in rows["category_id"].to_pylist()])
        rows = rows.set_column(rows.column_names.index("category_id"), "category_id", names)
        if name in SCORELESS and "score" in rows.column_names:
            rows = rows.drop_columns("score")
        source = write(folder / f"{name}.source.parquet", rows)
        jobs.convert(source, folder / name, out_format=format)
        return str(folder / name)

    return make


def as_coco(folder: Path, rows: pa.Table) -> Any:
    """Annotations out of order; results where there are scores."""
    own = mixed(rows).to_pylist()
    boxes = [[r["xmin"], r["ymin"], r["xmax"] - r["xmin"], r["ymax"] - r["ymin"]] for r in own]
    about = [{"image_id": r["image_id"], "category_id": r["category_id"]} for r in own]
    found: Any = [a | {"bbox": b} for a, b in zip(about, boxes, strict=True)]
    if "score" in rows.column_names:
        found = [f | {"score": r["score"]} for f, r in zip(found, own, strict=True)]
    else:
        images = [{"id": k, "width": SIDE, "height": SIDE} for k in sorted({r["image_id"] for r in own})]
        names = [{"id": k, "name": f"c{k}"} for k in range(3)]
        found = [f | {"id": k + 1, "iscrowd": 0, "area": f["bbox"][2] * f["bbox"][3]} for k, f in enumerate(found)]
        found = {"images": images, "categories": names, "annotations": found}
    path = folder / f"{'results' if 'score' in rows.column_names else 'instances'}.json"
    path.write_text(json.dumps(found))
    return str(path)


def as_csv(delimiter: str, name: str) -> Callable[[Path, pa.Table], Any]:
    def make(folder: Path, rows: pa.Table) -> Any:
        pacsv.write_csv(mixed(rows), folder / name, pacsv.WriteOptions(delimiter=delimiter))
        return str(folder / name)

    return make


def as_lines(folder: Path, rows: pa.Table) -> Any:
    name = folder / "boxes.jsonl"
    name.write_text("\n".join(json.dumps(row) for row in mixed(rows).to_pylist()))
    return str(name)


def as_boxes(folder: Path, rows: pa.Table) -> Any:
    corners = np.stack([rows[name].to_numpy() for name in ("xmin", "ymin", "xmax", "ymax")], axis=1)
    boxes = Boxes(corners, images=rows["image_id"].to_numpy())
    more = [name for name in ("category_id", "score") if name in rows.column_names]
    return {"boxes": boxes} | {name: rows[name].to_numpy() for name in more}


def as_arrays(folder: Path, rows: pa.Table) -> Any:
    own = mixed(rows)
    corners = np.stack([own[name].to_numpy() for name in ("xmin", "ymin", "xmax", "ymax")], axis=1)
    return {"bbox": corners} | {
        n: own[n].to_numpy() for n in own.column_names if n not in ("xmin", "ymin", "xmax", "ymax")
    }


ON_DISK: dict[str, Callable[[Path, pa.Table], Any]] = {
    "parquet": as_parquet,
    "unsorted parquet": as_unsorted,
    "unsorted row groups": as_unsorted_groups,
    "other names": as_other_names,
    "lists": as_lists,
    "coco": as_coco,
    "csv": as_csv(",", "boxes.csv"),
    "semicolons": as_csv(";", "boxes.csv"),
    "tsv": as_csv("\t", "boxes.tsv"),
    "jsonl": as_lines,
    "yolo": converted("yolo", "yolo"),
    "voc": converted("voc", "voc"),
    "kitti": converted("kitti", "kitti"),
    "crowdhuman": converted("crowdhuman", "boxes.odgt"),
    "huggingface": converted("huggingface", "hub.parquet"),
}
IN_PYTHON: dict[str, Callable[[Path, pa.Table], Any]] = {
    "files": as_files,
    "pandas": lambda folder, rows: mixed(rows).to_pandas(),
    "polars": lambda folder, rows: pl.from_arrow(mixed(rows)),
    "lazy": lambda folder, rows: pl.from_arrow(mixed(rows)).lazy(),
    "arrow": lambda folder, rows: mixed(rows),
    "batch": lambda folder, rows: mixed(rows).combine_chunks().to_batches()[0],
    "batches": lambda folder, rows: mixed(rows).to_batches(max_chunksize=20),
    "reader": lambda folder, rows: mixed(rows).to_reader(max_chunksize=20),
    "dict": as_arrays,
    "rows": lambda folder, rows: mixed(rows).to_pylist(),
    "generator": lambda folder, rows: iter(mixed(rows).to_pylist()),
    "frames": lambda folder, rows: [mixed(rows).to_pandas()[:20], mixed(rows).to_pandas()[20:]],
    "dataset": lambda folder, rows: pyarrow.dataset.dataset(mixed(rows)),
    "boxes": as_boxes,
}
UNSORTED = ("unsorted parquet", "unsorted row groups", "other names", "lists")
TEXTS = {"yolo", "voc", "kitti", "crowdhuman", "huggingface"}  # whose ids are names of files

OPTIONS = {
    "assign": {"anchors": AnchorGrid.preset("retinanet"), "resize": Resize("none", SIDE, SIDE)},
    "fit_anchors": {"count": 2, "sample": 30},
    "pairs": {"threshold": 0.1},
}
COMMANDS: dict[str, list[str]] = {
    "assign": ["--anchors", "retinanet", "--size", f"{SIDE}x{SIDE}"],
    "inspect": ["--class-size", "0"],
    "pairs": ["--threshold", "0.1"],
    **{name: [] for name in ("nms", "evaluate", "suspects", "fuse")},
}
# By the job: of which tables it is, truths or detections.
TABLES = {
    "assign": "t", "fit_anchors": "t", "inspect": "t", "nms": "d", "pairs": "dt", "evaluate": "dt", "fuse": "dd",
    "suspects": "dt",
}  # fmt: skip
LABELS = {"inputs", "class", "classes", "by_class", "name", "id", "other_id", "examples", "asked", "limits", "sampled"}
LABELS |= {"anchors", "config", "k-means", "fitted"}  # drawn by the numbers of rows
LABELS |= {"columns", "schema", "warnings", "suspects"}
SIZED = {"place", "rules", "sizes", "image_sizes", "problems"}  # more is known where the images' sizes are


def figures(found: Any) -> Any:
    """What was found, without what a format calls its classes and ids."""
    if isinstance(found, dict):
        return {name: figures(value) for name, value in found.items() if name not in LABELS}
    if isinstance(found, str):  # the names of columns, and which are there
        return None
    return [figures(value) for value in found] if isinstance(found, list) else found


def assert_same(found: Any, wanted: Any) -> None:
    """Sums over classes may end in another bit where a format puts classes in another order."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert_same(found[name], value)
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-12, abs=0)
    else:
        assert found == wanted


def tables_of(job: str, make: Callable[[Path, pa.Table], Any], folder: Path, texts: bool) -> list[Any]:
    made = []
    for place, kind in enumerate(TABLES[job]):
        own = folder / f"{kind}{place}"
        own.mkdir()
        made.append(make(own, table(scores=kind == "d", texts=texts, seed=place)))
    return made


def found_in(job: str, tables: list[Any]) -> Any:
    given = [tables] if job == "fuse" else tables
    return known_of(job, getattr(jobs, job)(*given, **OPTIONS.get(job, {})).to_dict())


def known_of(job: str, found: Any) -> Any:
    kept = figures(found)
    if job == "inspect":
        kept = {name: value for name, value in kept.items() if name not in SIZED}
    if job == "evaluate":
        kept.pop("boxes")  # how they are stored
    return kept


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Any]:
    known: dict[tuple[str, bool], Any] = {}

    def of(job: str, texts: bool) -> Any:
        if (job, texts) not in known:
            folder = tmp_path_factory.mktemp(job)
            known[job, texts] = found_in(job, tables_of(job, as_parquet, folder, texts))
        return known[job, texts]

    return of


def needs_scores(job: str, kind: str) -> bool:
    return kind in SCORELESS and job in ("nms", "evaluate", "fuse", "suspects")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind", [*ON_DISK, *IN_PYTHON])
@pytest.mark.parametrize("job", TABLES)
def test_every_job_reads_every_input(tmp_path: Path, job: str, kind: str, expected: Any) -> None:
    make = {**ON_DISK, **IN_PYTHON}[kind]
    tables = tables_of(job, make, tmp_path, kind in TEXTS)
    if needs_scores(job, kind):
        with pytest.raises(InputError, match="'score'"):
            found_in(job, tables)
        return
    assert_same(found_in(job, tables), expected(job, kind in TEXTS))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ON_DISK)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_reads_every_input(tmp_path: Path, command: str, kind: str, expected: Any) -> None:
    if needs_scores(command, kind):
        return
    tables = tables_of(command, ON_DISK[kind], tmp_path, kind in TEXTS)
    result = CliRunner().invoke(main, [command, *tables, *COMMANDS[command], "--json"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["schema"] == 1
    assert_same(known_of(command, printed), json.loads(json.dumps(expected(command, kind in TEXTS))))
    if kind in UNSORTED:
        lines = [line for line in result.stderr.splitlines() if "is not sorted by" in line]
        assert len(lines) == len(tables)
        assert all("`fastbox sort " in line for line in lines)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind", ON_DISK)
@pytest.mark.parametrize("job", ["assign", "evaluate", "inspect", "nms", "pairs", "suspects"])
def test_fragments_on_threads_read_every_input(tmp_path: Path, job: str, kind: str, expected: Any) -> None:
    if needs_scores(job, kind):
        return
    tables = tables_of(job, ON_DISK[kind], tmp_path, kind in TEXTS)
    options = OPTIONS.get(job, {})
    for _ in range(2):  # the second time from the parts
        found = spread(getattr(jobs, job), *tables, out=tmp_path / "parts", fragment_rows=20, **options)
        assert_same(known_of(job, found.to_dict()), expected(job, kind in TEXTS))


@pytest.mark.parametrize("kind", [*ON_DISK, *IN_PYTHON])
def test_sort_and_convert_write_every_input(tmp_path: Path, kind: str) -> None:
    texts = kind in TEXTS
    (given,) = tables_of("nms", {**ON_DISK, **IN_PYTHON}[kind], tmp_path, texts)
    assert jobs.sort(given, tmp_path / "s.parquet")["rows"] == (IMAGES if kind == "lists" else N)
    assert jobs.plan(tmp_path / "s.parquet" if kind != "other names" else Source(tmp_path / "s.parquet")).ready
    if kind not in ("files", "reader", "generator"):
        made = jobs.convert(given, tmp_path / "c.parquet", out_box_format="xyxy")
        assert (made["rows"], made["images"]) == (N, IMAGES)


@pytest.mark.parametrize("ids", [[4, 9, 5, 5, 1], ["b", "a", "c"], [1, 2, 2]])
def test_check_tells_the_order_that_a_table_was_given_in(tmp_path: Path, ids: list[Any]) -> None:
    table = pa.table({"image_id": ids, "bbox": [[0.0, 0, 1, 1]] * len(ids)})
    pq.write_table(table, tmp_path / "t.parquet")
    corners = {name: [0.0] * len(ids) for name in ("xmin", "ymin", "xmax", "ymax")}
    pacsv.write_csv(pa.table({"image_id": ids, **corners}), tmp_path / "t.csv")
    expected = jobs.plan(tmp_path / "t.parquet").inputs[0]
    for given in (tmp_path / "t.csv", table, {"image_id": ids, **corners}):
        found = jobs.plan(given).inputs[0]
        assert found["sorted"] == expected["sorted"] == (ids == sorted(ids))
        assert [{**fall, "file": 0} for fall in found["unsorted"]] == [
            {**fall, "file": 0} for fall in expected["unsorted"]
        ]


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.2 0.2", "0 1 Car 0 0 -1.5 10 10 50 50 1.5 1.6 3.7 1 2 3 0.1"])
def test_one_file_of_labels_is_told_to_be_given_as_a_folder(tmp_path: Path, line: str) -> None:
    (tmp_path / "0000.txt").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"got numbers \(.*\): write .*; of labels, as .*, give their folder"):
        jobs.inspect(tmp_path / "0000.txt")
