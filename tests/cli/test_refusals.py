"""Bad files and bad options of commands are named, and the message tells what to type."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.calls import call, images_table
from support.paths import ROOT

import fastbox
from fastbox import AnchorGrid, InputError, jobs


def refused(*arguments: Any, code: int = 2) -> str:
    """What a command says that can't be done; it leaves nothing behind."""
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert result.stderr.startswith(("error: ", "Usage: "))
    assert result.stdout == ""
    return result.stderr


def test_options_of_another_file_format_are_named_as_they_are_typed(tmp_path: Path) -> None:
    path = tmp_path / "boxes.parquet"
    pq.write_table(images_table([1, 2], 0, category_id=[1, 1]), path)
    said = refused("convert", path, tmp_path / "out.json", "--digits", 3)
    assert "(--box, --class-column, --format, --image-column, --sizes), got --digits: leave it out" in said
    known = r"\(box, class_column, format, image_column, sizes\)"
    with pytest.raises(InputError, match=f"{known}, got digits: leave it out"):
        jobs.convert(path, tmp_path / "out.json", digits=3)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("pairs", ["--boxes"]),
        ("pairs", ["--keep", "score"]),
        ("nms", ["--keep", "score"]),
        ("measure", ["--keep", "pred_xmin"]),
    ],
)
def test_options_of_a_file_that_is_not_written_are_refused(command: str, given: list[str], paired: Path) -> None:
    path = paired
    if command != "measure":
        path = paired.with_name("boxes.parquet")
        pq.write_table(images_table([1, 2], 0, score=[0.5, 0.9]), path)
    said = refused(command, path, *given)
    assert said == f"error: expected a file to write with {given[0]}, got none: name one with -o OUT\n"


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
        (("--keep", "idd", "-o", "out.parquet"), "'idd'"),
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


def test_options_that_contradict_are_refused(two: tuple[Path, Path]) -> None:
    assert "both" in refused("pairs", *two, "--best", "--all")
    assert "two tables" in refused("pairs", two[0], "--best")
    for way in ("--best", "--all"):
        said = refused("pairs", *two, way, "--threshold", 0.7)
        assert f"expected --threshold without {way}, which takes pairs of any value: leave one out" in said
    assert "expected one rule with --style coco" in refused("evaluate", *two, "--rule", "coco,voc12", "--style", "coco")
    said = refused("evaluate", *two, "--style", "coco", "--json")
    assert "expected --style coco without --json, which has all figures by name: leave one out" in said
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


def test_a_rule_for_points_is_refused_for_anchors(two: tuple[Path, Path]) -> None:
    anchored = ("assign", two[1], "--anchors", "retinanet", "--resize", 640)
    for more in ((), ("--high", 0.6)):
        said = refused(*anchored, "--rule", "yolov8", *more)
        assert "expected a rule for anchors, got 'yolov8', a rule for points: give one of atss" in said
    with pytest.raises(ValueError, match="expected a rule for anchors, got 'yolov8'"):
        jobs.assign(two[1], AnchorGrid.preset("retinanet"), resize="640", rule="yolov8")
    said = refused(*anchored, "--low", 0.5, "--high", 0.3)
    assert "expected --low up to --high, got --low 0.5 and --high 0.3" in said


def test_arguments_that_are_missing_are_listed(two: tuple[Path, Path]) -> None:
    assert "expected DETECTIONS... TRUTHS, got fewer arguments" in refused("evaluate", two[0])
    assert "expected DETECTIONS, got fewer arguments" in refused("pairs")


def test_a_least_score_above_1_makes_no_suspects(two: tuple[Path, Path]) -> None:
    assert "2.0 is not in the range 0<=x<=1" in refused("suspects", *two, "--min-score", 2)


@pytest.mark.parametrize("command", ["pairs", "evaluate"])
def test_truths_may_have_another_column_of_images(tmp_path: Path, command: str) -> None:
    boxes = {"category_id": [1], "score": [0.5], "bbox": [[0.0, 0, 32, 32]]}
    usual, odd = tmp_path / "usual.parquet", tmp_path / "odd.parquet"
    pq.write_table(pa.table(boxes | {"image_id": [1]}), usual)
    pq.write_table(pa.table(boxes | {"photo": [1]}), odd)
    results = [
        call(command, usual, odd, "--truth-image-column", "photo", "--json"),
        call(command, odd, usual, "--image-column", "photo", "--truth-image-column", "image_id", "--json"),
        call(command, usual, usual, "--json"),
    ]
    found = [json.loads(result.stdout)["images"] for result in results if result.exit_code == 0]
    assert found == [1, 1, 1], [result.output for result in results]


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


@pytest.mark.parametrize("place", ["missing/out.parquet", "pairs.parquet/out.parquet"])
def test_an_output_that_cannot_be_is_refused_at_once(paired: Path, place: str) -> None:
    assert place in refused("measure", paired, "-o", paired.parent / place).replace("\n", "")


@pytest.mark.parametrize("given", [["--rule", "coco", "--rule", "voc07"], ["--rule=coco", "--rule=coco"]])
def test_a_rule_given_twice_is_refused_with_the_way_to_give_several(given: list[str]) -> None:
    said = "expected --rule once, got it 2 times: name several rules with commas, as --rule coco,voc07"
    assert said in refused("evaluate", "a", "b", *given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rule", "kitti", "--bootstrap", "5"], "expected no samples with rule 'kitti', .*: leave --bootstrap out"),
        (["--rule", "coco,nothing"], "expected a rule of ai-tod, coco, .*, got 'nothing'"),
    ],
)
def test_rules_that_do_not_fit_the_options_are_refused(given: list[str], said: str) -> None:
    tables = (ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet")
    message = refused("evaluate", *tables, *given)
    assert message.startswith("error: ") and re.search(said, message) and "Traceback" not in message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nms", "d", "--score-threshold", "0.5"], "no such option --score-threshold; did you mean '--min-score'?"),
        (["nms", "d", "--conf", "0.5"], "no such option --conf; did you mean '--min-score'?"),
        (["evaluate", "d", "t", "--iou", "0.5"], "no such option --iou; did you mean '--iou-thresholds'?"),
        (["nms", "d", "--iou-threshold", "abc"], "'--iou-threshold': expected a number, got abc"),
        (["nms", "d", "--iou-threshold", "nan"], "'--iou-threshold': expected a number, got nan"),
        (["anchors", "t", "--count", "1.5"], "'--count': expected a whole number, got 1.5"),
    ],
)
def test_words_of_other_libraries_and_texts_for_numbers_are_told(arguments: list[str], said: str) -> None:
    assert said in refused(*arguments)


@pytest.mark.parametrize("command", ["evaluate", "suspects"])
def test_tables_in_the_wrong_order_are_told(command: str) -> None:
    truths, detections = ROOT / "data" / "truths.parquet", ROOT / "data" / "detections.parquet"
    said = refused(command, truths, detections)
    assert f"got no scores in {truths}, and scores in {detections}: swap them" in said


def test_a_set_without_boxes_or_images_is_looked_at(tmp_path: Path) -> None:
    image = {"id": 1, "width": 9, "height": 9, "file_name": "a.jpg"}
    truths = {"images": [image], "categories": [{"id": 1, "name": "cat"}], "annotations": []}
    (tmp_path / "gt.json").write_text(json.dumps(truths))
    shown = call("inspect", tmp_path / "gt.json")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"^1 cat +0 +– +0", shown.stdout, re.MULTILINE)
    truth = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}
    (tmp_path / "gt.json").write_text(json.dumps(truths | {"images": [], "annotations": [truth]}))
    result = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "score": 0.5}
    (tmp_path / "dt.json").write_text(json.dumps([result]))
    said = refused("evaluate", tmp_path / "dt.json", tmp_path / "gt.json")
    assert "in its list images, got no image: add them" in said


def test_no_score_is_best_where_nothing_matches(tmp_path: Path) -> None:
    truths, detections = tmp_path / "t.parquet", tmp_path / "d.parquet"
    pq.write_table(images_table([1], 0, category_id=[1]), truths)
    pq.write_table(images_table([1], 100, category_id=[1], score=[0.5]), detections)
    shown = call("evaluate", detections, truths)
    assert "F1 is 0 for every score: no detection matches" in shown.stdout, shown.output
