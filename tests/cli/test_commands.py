"""The commands, as a person calls them: what they write, what they print, and what they say to bad input."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import fastbox
from fastbox import Boxes, InputError, jobs
from fastbox.cli import main
from fastbox.tables.sink import read_record

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def call(*arguments: Any) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert "Traceback" not in result.output
    return result


def refused(*arguments: Any, code: int = 2) -> str:
    """What a command says that can't be done; it leaves nothing behind."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert result.stderr.startswith(("error: ", "Usage: "))
    assert result.stdout == ""
    return result.stderr


def random_boxes(n: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    return np.concatenate([low, low + rng.uniform(1, 80, (n, 2))], axis=1).astype(dtype)


def columns(boxes: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    return {prefix + name: boxes[:, k] for k, name in enumerate(CORNERS)}


def pairs_table(n: int) -> pa.Table:
    return pa.table({"id": np.arange(n), **columns(random_boxes(n), "pred_"), **columns(random_boxes(n, 1), "target_")})


def copies(table: pa.Table, folder: Path, n: int) -> list[Path]:
    """n files with the same rows, as no job takes a file twice."""
    paths = [folder / f"{i}.parquet" for i in range(n)]
    pq.write_table(table, paths[0])
    for path in paths[1:]:
        shutil.copyfile(paths[0], path)
    return paths


def images_table(ids: Any, seed: int, **more: Any) -> pa.Table:
    return pa.table({"image_id": ids, **columns(random_boxes(len(ids), seed)), **more})


@pytest.fixture
def paired(tmp_path: Path) -> Path:
    pq.write_table(pairs_table(2500), tmp_path / "pairs.parquet", row_group_size=700)
    return tmp_path / "pairs.parquet"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Detections and truths of images that only partly coincide, with classes."""
    rng = np.random.default_rng(3)
    ids = [np.sort(rng.choice([1, 2, 5, 8, 9, 12, 30], 60)), np.sort(rng.choice([2, 5, 6, 9, 30], 25))]
    for name, image, seed in zip(("d", "t"), ids, (4, 5), strict=True):
        classes = rng.integers(0, 3, len(image))
        table = images_table(image, seed, category_id=classes, name=[f"c{k}" for k in classes])
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=7)
    return tmp_path / "d.parquet", tmp_path / "t.parquet"


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = pq.read_table(path)
    return (
        table["image_id"].to_numpy(),
        np.stack([table[c] for c in CORNERS], 1),
        table["category_id"].to_numpy() if "category_id" in table.column_names else np.zeros(len(table)),
    )


# measure


@pytest.mark.parametrize("rows", [1, 7, 1000, 262_144])
def test_measure_appends_what_aligned_gives(paired: Path, rows: int) -> None:
    if rows < 7:
        pq.write_table(pairs_table(60), paired)
    source, out = pq.read_table(paired), paired.with_name("out.parquet")
    found = jobs.measure(paired, out, metrics=["iou", "giou", "smooth_l1"], beta=2.0, rows=rows)
    written = pq.read_table(out)
    assert written.column_names == [*source.column_names, "iou", "giou", "smooth_l1"]
    assert written.select(source.column_names).equals(source)
    pred, target = (np.stack([source[p + c] for c in CORNERS], 1) for p in ("pred_", "target_"))
    for name in ("iou", "giou", "smooth_l1"):
        expected = fastbox.aligned(pred, target, metric=name, beta=2.0)
        np.testing.assert_array_equal(written[name].to_numpy(), expected)
        assert found.metrics[name].count == len(source)
        assert found.metrics[name].mean == pytest.approx(expected.astype(np.float64).mean(), rel=1e-12)
    record = read_record(out)
    assert (record["command"], record["rows"], record["version"]) == ("measure", len(source), fastbox.__version__)
    assert record["parameters"]["beta"] == 2.0
    assert record["summary"] == found.to_dict()


def test_a_summary_does_not_depend_on_chunks(paired: Path) -> None:
    summaries = [jobs.measure(paired, rows=rows).to_dict() for rows in (13, 700, 262_144)]
    assert summaries[0] == summaries[1] == summaries[2]


def test_measure_keeps_what_is_asked_and_replaces_its_own(paired: Path) -> None:
    out, again = paired.with_name("out.parquet"), paired.with_name("again.parquet")
    assert call("measure", paired, "-o", out, "--metrics", "iou,diou").exit_code == 0
    assert call("measure", out, "-o", again, "--metrics", "iou").exit_code == 0
    assert pq.read_table(again).column_names == [*pairs_table(0).column_names, "diou", "iou"]
    assert call("measure", paired, "-o", out, "--keep", "id", "--metrics", "l1").exit_code == 0
    assert pq.read_table(out).column_names == ["id", "l1"]


def test_measure_gives_losses_and_their_gradients(paired: Path) -> None:
    out = paired.with_name("out.parquet")
    asked = ("measure", paired, "--metrics", "iou,iou_loss,huber_loss", "--grad", "--delta", 2.0)
    summary = json.loads(call(*asked, "-o", out, "--keep", "id", "--json").stdout)
    source, written = pq.read_table(paired), pq.read_table(out)
    pred, target = (np.stack([source[p + c] for c in CORNERS], 1) for p in ("pred_", "target_"))
    assert written.column_names[:4] == ["id", "iou", "iou_loss", "iou_loss_grad_x0"]
    loss, grad = fastbox.huber_loss(Boxes(pred), Boxes(target), delta=2.0, reduction="box", return_grad=True)
    np.testing.assert_array_equal(written["huber_loss"].to_numpy(), loss)
    columns = [f"huber_loss_grad_{coordinate}" for coordinate in ("x0", "y0", "x1", "y1")]
    np.testing.assert_array_equal(np.stack([written[column] for column in columns], 1), grad)
    apart = int((written["iou"].to_numpy() == 0).sum())
    assert apart > 0
    assert summary["metrics"]["iou_loss_grad"]["zero"] == apart
    assert summary["metrics"]["huber_loss_grad"]["zero"] == 0
    lines = call(*asked).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.split()[:4] == ["iou_loss,", "1/px", f"{apart:,}", f"({apart / 2500:.2%})"] for line in lines)
    assert not any("iou_loss, px" in line for line in lines)


def test_invalid_boxes_are_counted_by_reason(tmp_path: Path) -> None:
    pred = random_boxes(6)
    pred[1, 0], pred[2, 3] = np.nan, np.inf
    target = random_boxes(6, 1)
    target[4] = [9, 9, 1, 10]
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({**columns(pred, "pred_"), **columns(target, "target_")}), path)
    summary = json.loads(call("measure", path, "--json").stdout)
    assert summary["invalid"] == {
        "pred": {"not_finite": 2, "inverted": 0},
        "target": {"not_finite": 0, "inverted": 1},
    }
    assert summary["metrics"]["iou"]["count"] == 3
    assert summary["metrics"]["iou"]["invalid"] == 3
    assert "2 pred not finite, 1 target inverted" in " ".join(call("measure", path).stdout.split())


@pytest.mark.parametrize("layout", ["struct", "list", "fixed"])
def test_measure_finds_other_layouts(tmp_path: Path, layout: str) -> None:
    sides = {}
    for seed, side in enumerate(("pred", "target")):
        boxes = random_boxes(20, seed)
        if layout == "struct":
            sides[side] = pa.StructArray.from_arrays([pa.array(boxes[:, k]) for k in range(4)], CORNERS)
        else:
            kind = pa.list_(pa.float32(), 4) if layout == "fixed" else pa.list_(pa.float32())
            sides[side] = pa.array(boxes.tolist(), kind)
    pq.write_table(pa.table(sides), tmp_path / "p.parquet")
    out = tmp_path / "out.parquet"
    assert call("measure", tmp_path / "p.parquet", "-o", out, "--metrics", "iou").exit_code == 0
    expected = fastbox.aligned(random_boxes(20), random_boxes(20, 1))
    np.testing.assert_array_equal(pq.read_table(out)["iou"].to_numpy(), expected)


# pairs


def naive(a: Any, b: Any, rule: Callable[[np.ndarray], Any], by_class: bool = False) -> list[tuple[int, int]]:
    """Pairs of row numbers by a loop over images, and over classes."""
    (ids_a, boxes_a, class_a), (ids_b, boxes_b, class_b) = a, b
    found = []
    for image in np.union1d(ids_a, ids_b):
        kinds = np.union1d(class_a, class_b) if by_class else [None]
        for kind in kinds:
            rows = np.flatnonzero((ids_a == image) & ((class_a == kind) if by_class else True))
            cols = np.flatnonzero((ids_b == image) & ((class_b == kind) if by_class else True))
            i, j = rule(fastbox.pairwise(boxes_a[rows], boxes_b[cols]))
            found += zip(rows[i].tolist(), [int(cols[k]) if k >= 0 else None for k in j], strict=True)
    return sorted(found, key=lambda pair: (pair[0], -1 if pair[1] is None else pair[1]))


def best_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(matrix.shape[0])
    return rows, matrix.argmax(1) if matrix.shape[1] else np.full(len(rows), -1)


RULES = {
    "--threshold=0.2": lambda matrix: np.nonzero(matrix >= np.float32(0.2)),
    "--all": lambda matrix: np.nonzero(matrix > -1),
    "--best": best_of,
}


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_pairs_are_those_of_a_loop_over_images(
    two: tuple[Path, Path], rule: str, by_class: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = importlib.import_module("fastbox.jobs.pairs")
    monkeypatch.setattr(job, "scan", lambda a, b, **_: fastbox.scan(a, b, rows=rows))
    out = two[0].with_name("out.parquet")
    options = ["--per-class"] if by_class else []
    result = call("pairs", *two, rule, *options, "--metrics", "iou,ciou", "-o", out, "--json")
    assert result.exit_code == 0, result.output
    table = pq.read_table(out)
    expected = naive(read(two[0]), read(two[1]), RULES[rule], by_class)
    found = list(zip(table["detection"].to_pylist(), table["truth"].to_pylist(), strict=True))
    assert found == expected
    ids, boxes, _ = read(two[0])
    others = read(two[1])[1]
    assert table["image_id"].to_pylist() == [ids[row] for row, _ in expected]
    for name in ("iou", "ciou"):
        values = [
            np.nan if c is None else fastbox.pairwise(boxes[[r]], others[[c]], metric=name)[0, 0] for r, c in expected
        ]
        np.testing.assert_array_equal(table[name].to_numpy(), np.array(values, np.float32))
    summary = json.loads(result.stdout)
    matched = {row for row, other in expected if other is not None}
    assert summary["pairs"] == sum(other is not None for _, other in expected)
    assert summary["unmatched"] == len(ids) - len(matched)
    assert (summary["images"], summary["detections"], summary["truths"]) == (8, 60, 25)
    assert read_record(out)["summary"] == {name: value for name, value in summary.items() if name != "schema"}


def test_classes_may_be_names(two: tuple[Path, Path]) -> None:
    outs = [two[0].with_name(name) for name in ("numbers.parquet", "names.parquet")]
    for out, column in zip(outs, ("category_id", "name"), strict=True):
        assert (
            call("pairs", *two, "--per-class", "--class-column", column, "--threshold", 0.1, "-o", out).exit_code == 0
        )
    shared = ["image_id", "detection", "truth", "iou"]
    assert pq.read_table(outs[0]).select(shared).equals(pq.read_table(outs[1]).select(shared))


def test_one_table_gives_its_near_duplicates(two: tuple[Path, Path]) -> None:
    out = two[0].with_name("out.parquet")
    assert call("pairs", two[0], "--threshold", 0.3, "-o", out).exit_code == 0
    upper = lambda matrix: np.nonzero(np.triu(matrix >= np.float32(0.3), 1))  # noqa: E731
    table = pq.read_table(out)
    assert list(zip(table["row"].to_pylist(), table["other"].to_pylist(), strict=True)) == naive(
        read(two[0]), read(two[0]), upper
    )


def test_pairs_carry_boxes_and_columns_that_measure_reads(two: tuple[Path, Path]) -> None:
    out, measured = two[0].with_name("out.parquet"), two[0].with_name("measured.parquet")
    assert call("pairs", *two, "--best", "--boxes", "--keep", "name,category_id", "-o", out).exit_code == 0
    assert call("measure", out, "-o", measured, "--metrics", "iou").exit_code == 0
    a, b = pq.read_table(out), pq.read_table(measured)
    np.testing.assert_array_equal(a["iou"].to_numpy(), b["iou"].to_numpy())
    rows = a["detection"].to_numpy()
    assert a["name"].to_pylist() == pq.read_table(two[0])["name"].take(rows).to_pylist()


def test_image_ids_may_be_strings(tmp_path: Path) -> None:
    pq.write_table(images_table(["a", "a", "b"], 0), tmp_path / "d.parquet")
    pq.write_table(images_table(["a", "c"], 1), tmp_path / "t.parquet")
    out = tmp_path / "out.parquet"
    assert call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--best", "-o", out).exit_code == 0
    table = pq.read_table(out)
    assert table["image_id"].to_pylist() == ["a", "a", "b"]
    assert table["truth"].to_pylist() == [0, 0, None]


def test_rows_are_numbered_over_all_files(two: tuple[Path, Path]) -> None:
    folder = two[0].with_name("parts")
    folder.mkdir()
    whole = pq.read_table(two[0])
    cut = 31
    pq.write_table(whole.slice(0, cut), folder / "0.parquet")
    pq.write_table(whole.slice(cut), folder / "1.parquet")
    outs = [two[0].with_name(name) for name in ("whole.out", "parts.out")]
    for source, out in zip((two[0], folder), outs, strict=True):
        assert call("pairs", source, two[1], "--threshold", 0.1, "-o", out).exit_code == 0
    assert pq.read_table(outs[0]).equals(pq.read_table(outs[1]))


@pytest.mark.jit
def test_a_crowded_image_is_no_trouble(tmp_path: Path) -> None:
    n = 200_000
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1e5, (n, 2))
    boxes = np.concatenate([low, low + 30], 1).astype("float32")
    pq.write_table(pa.table({"image_id": np.zeros(n, int), **columns(boxes)}), tmp_path / "d.parquet")
    pq.write_table(pa.table({"image_id": [0], **columns(boxes[:1])}), tmp_path / "t.parquet")
    found = jobs.pairs(tmp_path / "d.parquet", tmp_path / "t.parquet", threshold=0.9)
    assert found.detections == n
    assert found.pairs >= 1


# what a person sees


def test_every_command_prints_json(tmp_path: Path) -> None:
    made = tmp_path / "s.parquet"
    runs = [
        ("synthesize", made, "--count", 20, "--pairs", tmp_path / "p.parquet"),
        ("measure", tmp_path / "p.parquet"),
        ("pairs", tmp_path / "s-detections.parquet", made, "-o", tmp_path / "o.parquet"),
    ]
    for run in runs:
        result = call(*run, "--json")
        assert result.exit_code == 0
        assert isinstance(json.loads(result.stdout), dict)
        plain = call(*run).stdout
        assert "{" not in plain
        assert all(len(line) <= 80 or line.startswith("→") for line in plain.splitlines())


def test_convert_goes_straight_into_pairs(tmp_path: Path) -> None:
    truths = {
        "images": [{"id": 4, "width": 50, "height": 40}, {"id": 2, "width": 50, "height": 40}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    results = [{"image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 5], "score": 0.5}]
    for name, content in (("t", truths), ("d", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        assert call("convert", tmp_path / f"{name}.json", tmp_path / f"{name}.parquet").exit_code == 0
    summary = json.loads(call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--json").stdout)
    assert (summary["images"], summary["pairs"]) == (2, 1)
    assert summary["metrics"]["iou"]["mean"] == 0.5


def test_options_of_another_file_format_are_named_as_they_are_typed(tmp_path: Path) -> None:
    path = tmp_path / "boxes.parquet"
    pq.write_table(images_table([1, 2], 0, category_id=[1, 1]), path)
    said = refused("convert", path, tmp_path / "out.json", "--digits", 3)
    assert "(--box, --format, --class-column, --image-column, --sizes), got --digits: leave it out" in said
    with pytest.raises(InputError, match=r"\(box, box_format, class_column, image, sizes\), got digits: leave it out"):
        jobs.convert(path, tmp_path / "out.json", digits=3)


def in_terminal(*arguments: Any) -> str:
    """What a command writes to a terminal."""
    main_end, command_end = pty.openpty()
    command = [sys.executable, "-m", "fastbox", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=command_end, stdin=subprocess.DEVNULL) as process:
        os.close(command_end)
        text = b""
        while True:
            try:
                part = os.read(main_end, 65_536)
            except OSError:
                break
            if not part:
                break
            text += part
    os.close(main_end)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.slow
@pytest.mark.jit
def test_progress_is_for_terminals_only(tmp_path: Path) -> None:
    shown = in_terminal("measure", *copies(pairs_table(1_000), tmp_path, 2))
    assert "measuring" in shown
    assert "all rows are read, the rest follows" in shown
    silent = subprocess.run(
        [sys.executable, "-m", "fastbox", "measure", str(tmp_path / "0.parquet")], capture_output=True, text=True
    )
    assert (silent.returncode, silent.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.jit
def test_what_is_said_stands_above_the_bar_in_one_piece(tmp_path: Path) -> None:
    pq.write_table(images_table([3, 1, 2], 0, score=[0.5, 0.5, 0.5]), tmp_path / "d.parquet")
    text = in_terminal("nms", tmp_path / "d.parquet")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n")
    (said,) = [line for line in lines if "is not sorted" in line]
    assert said.startswith(f"{tmp_path / 'd.parquet'} is not sorted by image_id: its 3 rows were sorted in memory; `")
    assert said.endswith("` does it once and for all")


# bad input


def spoil_text(path: Path) -> None:
    path.write_text("no parquet at all, but long enough to be read")


def spoil_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def spoil_empty(path: Path) -> None:
    path.write_bytes(b"")


def spoil_column(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([n.replace("pred_xmax", "pred_xmx") for n in table.column_names]), path)


def spoil_type(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "pred_xmin", table["pred_xmin"].cast(pa.string())), path)


def spoil_null(path: Path) -> None:
    table = pq.read_table(path)
    values = [None if k == 1234 else float(k) for k in range(len(table))]
    pq.write_table(table.set_column(1, "pred_xmin", pa.array(values, pa.float32())), path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_text, ["not Parquet"]),
        (spoil_cut, ["truncated"]),
        (spoil_empty, ["empty"]),
        (spoil_column, ["pred_xmax", "pred_xmx"]),
        (spoil_type, ["pred_xmin", "string"]),
        (spoil_null, ["pred_xmin", "1234", "null"]),
    ],
)
def test_a_bad_file_is_named(paired: Path, spoil: Callable[[Path], None], words: list[str]) -> None:
    spoil(paired)
    before = sorted(os.listdir(paired.parent))
    said = refused("measure", paired, "-o", paired.with_name("out.parquet"))
    assert str(paired) in said.replace("\n", "")
    for word in words:
        assert word in said
    assert said.count("\n") == 1
    assert sorted(os.listdir(paired.parent)) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metrics", "iuo"), "did you mean 'iou'?"),
        (("--keep", "idd"), "'idd'"),
        (("--pred", "nothing"), "'nothing'"),
        (("--metrics", "giou_los"), "did you mean 'giou_loss'?"),
        (("--metrics", "iou,l1", "--grad"), "expected a loss"),
        (("--beta", "-1"), "beta"),
        (("--delta", "0"), "delta"),
        (("--format", "xyzw"), "xyzw"),
    ],
)
def test_a_bad_option_is_named(paired: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in refused("measure", paired, "-o", paired.with_name("out.parquet"), *arguments)
    assert os.listdir(paired.parent) == ["pairs.parquet"]


def test_unsorted_tables_are_sorted_and_rows_are_those_that_were_given(tmp_path: Path) -> None:
    pq.write_table(images_table([3, 3, 1], 0), tmp_path / "d.parquet")
    pq.write_table(images_table([1, 3], 0), tmp_path / "t.parquet")
    call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--all", "-o", tmp_path / "o.parquet")
    found = pq.read_table(tmp_path / "o.parquet")
    assert found["image_id"].to_pylist() == [1, 3, 3]
    assert found["detection"].to_pylist() == [2, 0, 1]
    assert sorted(os.listdir(tmp_path)) == ["d.parquet", "o.parquet", "t.parquet"]


def test_options_that_contradict_are_refused(two: tuple[Path, Path]) -> None:
    assert "both" in refused("pairs", *two, "--best", "--all")
    assert "two tables" in refused("pairs", two[0], "--best")
    assert "nan" in refused("pairs", *two, "--threshold", "nan")
    assert "input" in refused("pairs", *two, "-o", two[0])
    assert "no file" in refused("pairs", two[0].with_name("none.parquet"), two[1])


def test_options_that_change_nothing_alone_are_refused(two: tuple[Path, Path]) -> None:
    assert "the class column 'kind' is not used where boxes of all classes meet: add --per-class" in refused(
        "pairs", *two, "--class-column", "kind"
    )
    for option, value in (("--size", "640x480"), ("--size-columns", "w,h")):
        said = refused("anchors", two[1], "--count", 1, option, value)
        assert f"expected --resize with {option}, got {option} alone" in said
    for given, got in (((), "neither"), (("--size", "640x480", "--resize", 640), "both")):
        assert f"expected --resize or --size, got {got}" in refused("assign", two[1], "--anchors", "retinanet", *given)


@pytest.mark.parametrize("command", ["pairs", "evaluate"])
def test_boxes_of_truths_are_named_by_their_own_option(tmp_path: Path, command: str) -> None:
    columns = {"image_id": [1], "category_id": [1], "score": [0.5]}
    usual, odd = tmp_path / "usual.parquet", tmp_path / "odd.parquet"
    pq.write_table(pa.table(columns | {"bbox": [[0.0, 0, 32, 32]]}), usual)
    pq.write_table(pa.table(columns | dict(zip("abcd", [[0.0], [0.0], [32.0], [32.0]], strict=True))), odd)
    for tables, option in (((usual, odd), "--truth-box"), ((odd, usual), "--box")):
        said = refused(command, *tables)
        assert f"in {odd} (" in said and f"{option} A,B,C,D" in said
        assert call(command, *tables, option, "a,b,c,d").exit_code == 0


def test_both_boxes_of_a_row_are_named_by_their_own_options(tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    columns = dict(zip("abcd", [[0.0], [0.0], [32.0], [32.0]], strict=True))
    pq.write_table(pa.table(columns | {"target_bbox": [[0.0, 0, 32, 32]]}), path)
    assert "or --pred A,B,C,D" in refused("measure", path)
    assert call("measure", path, "--pred", "a,b,c,d").exit_code == 0
    with pytest.raises(InputError, match=r"or pred='A,B,C,D'"):
        jobs.measure(path)


def test_sizes_of_images_that_are_not_there_are_given_as_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "truths.parquet"
    pq.write_table(pa.table({"image_id": [1], "bbox": [[0.0, 0, 32, 32]]}), path)
    told = ("assign", path, "--anchors", "retinanet")
    said = refused(*told, "--resize", "640")
    assert f"columns width and height, the images' sizes, in {path}, got no width and no height: add them, or" in said
    assert "--size WIDTHxHEIGHT" in said
    assert call(*told, "--size", "640x480").exit_code == 0
    with pytest.raises(InputError, match=r"how large all images are with resize=jobs.Resize\('none', WIDTH, HEIGHT\)$"):
        jobs.assign(path, fastbox.AnchorGrid.preset("retinanet"), resize=jobs.Resize("both", 640, 480))


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    path, out = tmp_path / "p.parquet", tmp_path / "out.parquet"
    empty = pairs_table(5).slice(0, 0)
    with pq.ParquetWriter(path, empty.schema) as writer:
        writer.write_table(empty)
    result = call("measure", path, "-o", out)
    assert result.exit_code == 0
    assert "0 rows" in result.stdout
    assert pq.read_table(out).schema.names == [*empty.column_names, "iou", "giou", "smooth_l1"]
    with pq.ParquetWriter(path, empty.schema) as writer:
        for table in (empty, pairs_table(3), empty):
            writer.write_table(table)
    assert json.loads(call("measure", path, "--json").stdout)["rows"] == 3
    pq.write_table(images_table(np.zeros(0, int), 0), path)
    assert json.loads(call("pairs", path, path, "--json").stdout)["pairs"] == 0
    assert call("pairs", path, "--best").exit_code == 2


@pytest.mark.parametrize("place", ["missing/out.parquet", "pairs.parquet/out.parquet"])
def test_an_output_that_cannot_be_is_refused_at_once(paired: Path, place: str) -> None:
    assert place in refused("measure", paired, "-o", paired.parent / place).replace("\n", "")


def run_fastbox(*arguments: Any, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fastbox", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


@pytest.mark.slow
@pytest.mark.jit
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    pq.write_table(pairs_table(300_000), tmp_path / "p.parquet")
    jobs.measure(tmp_path / "p.parquet")  # compiled and cached: no cache file need be written under the limit
    process = run_fastbox("measure", tmp_path / "p.parquet", "-o", tmp_path / "o.parquet", before=little_room)
    out, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == ["p.parquet"]


@pytest.mark.parametrize("where", ["here", "in a destructor", "in a text of code"])
def test_an_interrupt_is_never_dropped(tmp_path: Path, where: str) -> None:
    program = """
import os, signal, sys, time, click
from fastbox.cli.outcome import Commands
group = Commands("fastbox")

class Slow:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

@group.command()
def work():
    if sys.argv[1] == "in a destructor":
        Slow()
    elif sys.argv[1] == "in a text of code":
        exec("os.kill(os.getpid(), signal.SIGINT)")
    else:
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
    print("not interrupted")

group.main(["work"])
"""
    (tmp_path / "work.py").write_text(program)
    call = [sys.executable, "-m", "work", where]
    start = time.monotonic()
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130, (done.returncode, done.stderr)
    assert time.monotonic() - start < 25  # at once, and not when a long wait is over
    assert (done.stdout, done.stderr) == ("", "error: interrupted; nothing was written\n")


@pytest.mark.parametrize("module", ["fastbox.cli", "click", "fastbox.cli.commands.pairs"])
def test_an_interrupt_while_the_program_is_loaded(module: str, python: Any) -> None:
    code = f"""
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
from fastbox.__main__ import main
main()
"""
    done = python(code, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        -signal.SIGINT,
        "",
        "error: interrupted; nothing was written\n",
    )


@pytest.mark.slow
@pytest.mark.jit
def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    many = copies(pairs_table(1_000_000), tmp_path, 10)
    process = run_fastbox("measure", *many, "-o", tmp_path / "o.parquet")
    for _ in range(6000):
        if any(name.endswith(".tmp") for name in os.listdir(tmp_path)):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    assert said == "error: interrupted; nothing was written\n"
    assert sorted(os.listdir(tmp_path)) == [path.name for path in many]
