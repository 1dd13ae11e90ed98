"""Whatever is given where something else belongs: a result, or one sentence that names the argument as calls do."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fastbox
from fastbox import Boxes, InputError, MatchRule, jobs
from fastbox.anchors import AnchorGrid
from fastbox.cli.messages import logged_on_stderr

pandas = pytest.importorskip("pandas", reason="pandas is not installed")

TWO = [[0, 0, 4, 4], [1, 0, 4, 4]]
GRID = AnchorGrid(strides=[8], sizes=[8])
FRAME = {"image_id": [1, 2], "xmin": [0.0, 1], "ymin": [0.0, 0], "xmax": [4.0, 4], "ymax": [4.0, 4]}

WRONG: dict[str, Any] = {
    "ragged": [[0, 0, 1, 1], [0, 0, 1]],
    "none inside": [[0, 0, None, 1], [0, 0, 1, 1]],
    "text": [["0", "0", "1", "1"]] * 2,
    "nothing": None,
    "a word": "boxes",
    "dict": {"a": [1]},
    "lists of a dict": {"a": [[1], 2]},
    "object": object(),
    "set": {1},
    "complex": np.ones((2, 4), complex),
    "masked": np.ma.masked_array(np.ones((2, 4)), mask=np.eye(2, 4)),
    "dates": np.zeros((2, 4), "M8[s]"),
    "three": [[1, 2, 3]],
    "deep": [[[0, 0, 1, 1]]],
    "generator": (row for row in TWO),
    "frame": pandas.DataFrame({"a": [1, 2]}),
    "frame with a null": pandas.DataFrame({"x": [1.0, None], "y": [1.0, 1], "w": [1.0, 1], "h": [1.0, 1]}),
}

# What a call says, and the call: of an argument that is none of the things above.
CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "best": ("a", lambda bad: fastbox.best(bad, TWO)),
    "best b": ("b", lambda bad: fastbox.best(TWO, bad)),
    "aligned": ("a", lambda bad: fastbox.aligned(bad, TWO)),
    "pairwise": ("b", lambda bad: fastbox.pairwise(TWO, bad)),
    "pairs": ("a", lambda bad: fastbox.pairs(bad, threshold=0.5)),
    "top": ("k", lambda bad: fastbox.top(TWO, TWO, bad)),
    "histogram": ("b", lambda bad: fastbox.histogram(TWO, bad)),
    "bins": ("bins", lambda bad: fastbox.histogram(TWO, TWO, bins=bad)),
    "metric": ("metric", lambda bad: fastbox.best(TWO, TWO, metric=bad)),
    "beta": ("beta", lambda bad: fastbox.best(TWO, TWO, metric="smooth_l1", beta=bad)),
    "threshold": ("threshold", lambda bad: fastbox.pairs(TWO, threshold=bad)),
    "nms": ("boxes", lambda bad: fastbox.nms(bad, [1, 1], iou_threshold=0.5)),
    "nms scores": ("scores?", lambda bad: fastbox.nms(TWO, bad, iou_threshold=0.5)),
    "nms threshold": ("iou_threshold", lambda bad: fastbox.nms(TWO, [1, 1], iou_threshold=bad)),
    "soft sigma": ("sigma", lambda bad: fastbox.soft_nms(TWO, [1, 1], sigma=bad)),
    "soft method": ("method", lambda bad: fastbox.soft_nms(TWO, [1, 1], method=bad)),
    "fusion": ("boxes", lambda bad: fastbox.weighted_boxes_fusion(bad, [1, 1])),
    "fusion type": ("conf_type", lambda bad: fastbox.weighted_boxes_fusion(TWO, [1, 1], conf_type=bad)),
    "match anchors": ("anchors", lambda bad: fastbox.match(bad, TWO)),
    "match truths": ("truths", lambda bad: fastbox.match(TWO, bad)),
    "match size": ("size", lambda bad: fastbox.match(GRID, TWO, size=bad)),
    "match rule": ("MatchRule", lambda bad: fastbox.match(TWO, TWO, rule=bad)),
    "rule": ("threshold", lambda bad: MatchRule.torchvision(bad, 0.3)),
    "mmdet": ("pos_iou_thr", lambda bad: MatchRule.mmdet(bad)),
    "greedy": ("detections", lambda bad: fastbox.match_greedy(bad, [1, 1], TWO)),
    "greedy truths": ("truths", lambda bad: fastbox.match_greedy(TWO, [1, 1], bad)),
    "greedy scores": ("scores", lambda bad: fastbox.match_greedy(TWO, bad, TWO)),
    "greedy threshold": ("threshold", lambda bad: fastbox.match_greedy(TWO, [1, 1], TWO, threshold=bad)),
    "evaluate": ("detections", lambda bad: fastbox.evaluate(bad, [1, 1], TWO)),
    "evaluate truths": ("truths", lambda bad: fastbox.evaluate(TWO, [1, 1], bad)),
    "evaluate scores": ("scores", lambda bad: fastbox.evaluate(TWO, bad, TWO)),
    "suspects": ("detections", lambda bad: fastbox.suspects(bad, [1, 1], TWO, classes=[1, 1], truth_classes=[1, 1])),
    "suspects scores": ("scores", lambda bad: fastbox.suspects(TWO, bad, TWO, classes=[1, 1], truth_classes=[1, 1])),
    "Boxes": ("boxes", Boxes),
    "Boxes format": ("format", lambda bad: Boxes(TWO, bad)),
    "Boxes size": ("size", lambda bad: Boxes(TWO, "rel_xyxy", size=bad)),
    "Boxes columns": ("columns", lambda bad: Boxes.from_columns(bad, [1, 2], [1, 2], [1, 2])),
    "Boxes rows": ("rows", lambda bad: Boxes(TWO * 2)[bad]),
    "from_arrow": ("table|boxes", Boxes.from_arrow),
    "iou_loss": ("pred", lambda bad: fastbox.iou_loss(bad, TWO)),
    "iou_loss target": ("target", lambda bad: fastbox.iou_loss(TWO, bad)),
    "smooth_l1": ("pred", lambda bad: fastbox.smooth_l1_loss(bad, TWO)),
    "smooth_l1 beta": ("beta", lambda bad: fastbox.smooth_l1_loss(TWO, TWO, beta=bad)),
    "huber delta": ("delta", lambda bad: fastbox.huber_loss(TWO, TWO, delta=bad)),
    "reduction": ("reduction", lambda bad: fastbox.l1_loss(TWO, TWO, reduction=bad)),
    "encode": ("boxes", lambda bad: fastbox.encode(bad, TWO)),
    "encode anchors": ("anchors", lambda bad: fastbox.encode(TWO, bad)),
    "encode weights": ("weights", lambda bad: fastbox.encode(TWO, TWO, weights=bad)),
    "decode": ("deltas", lambda bad: fastbox.decode(bad, TWO)),
    "decode ratio": ("max_ratio", lambda bad: fastbox.decode(TWO, TWO, max_ratio=bad)),
}  # fmt: skip

# Calls for which one of the things above is right.
RIGHT = {("decode", "frame with a null"), ("Boxes rows", "three")}
RAW = re.compile(
    r"inhomogeneous|ArrowInvalid|could not convert|ufunc|unhashable|not supported between|object is not|no attribute|"
    r"truth value|ambiguous|invalid literal|to unpack|__array|sequence|\n"
)


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_argument_is_named_in_one_sentence(call: str) -> None:
    named, made = CALLS[call]
    for kind, bad in WRONG.items():
        try:
            made(bad)
        except (ValueError, TypeError) as error:
            said = str(error)
            assert re.match("(expected|size= is) ", said) and not RAW.search(said), (kind, said)
            assert re.search(rf"\b({named})\b|ensemble_boxes|columns|null", said), (kind, said)
        else:
            assert (call, kind) in RIGHT, (call, kind)


def nms_by(classes: Any) -> Any:
    return fastbox.nms(TWO, [1, 1], iou_threshold=0.5, classes=classes)


SAID: list[tuple[str, Callable[[], Any]]] = [
    (r"expected boxes in rows of one length, got 3 at row 1 after 4 at row 0", lambda: Boxes(WRONG["ragged"])),
    (r"expected a of real numbers, got None at row 0", lambda: fastbox.best(WRONG["none inside"], TWO)),
    (r"expected b of real numbers, got text, dtype <U1: cast it", lambda: fastbox.best(TWO, WRONG["text"])),
    (r"expected truths of shape \(n, 4\), got \(1, 3\)", lambda: fastbox.match(TWO, [[1, 2, 3]])),
    (r"got 800: give both, such as size=\(800, 800\)", lambda: fastbox.match(GRID, TWO, size=800)),
    (r"expected size=\(width, height\), got '800x600': give both", lambda: fastbox.match(GRID, TWO, size="800x600")),
    (r"the width in size of real numbers, got text", lambda: fastbox.match(GRID, TWO, size=("8", "8"))),
    (r"expected threshold to be a number, got '0.5'", lambda: fastbox.pairs(TWO, threshold="0.5")),
    (r"expected iou_threshold to be a number, got None", lambda: fastbox.nms(TWO, [1, 1], iou_threshold=None)),
    (r"expected a MatchRule or one of .*, got \['atss'\]", lambda: fastbox.match(TWO, TWO, rule=["atss"])),
    (r"got 'atts'; did you mean 'atss'\?", lambda: fastbox.match(TWO, TWO, rule="atts")),
    (r"expected k to be a whole number of at least 1, got '3'", lambda: fastbox.top(TWO, TWO, "3")),
    (r"got truths grouped and ignore not", lambda: fastbox.match(TWO, Boxes(TWO, images=[1, 2]), ignore=TWO)),
    (r"got a grouped and b not: give both image ids", lambda: fastbox.best(Boxes(TWO, images=[1, 2]), TWO)),
    (r"got truths grouped and detections not", lambda: fastbox.evaluate(TWO, [1, 1], Boxes(TWO, images=[1, 2]))),
    (r"expected image to be the name of a column, got 5", lambda: Boxes.from_arrow(FRAME, image=5)),
    (r"got the name 'd.parquet': read the file first, .*read_table\('d.parquet'\)", lambda: Boxes("d.parquet")),
    (r"expected truths in memory, got the name 't'", lambda: fastbox.match(TWO, Path("t"))),
    (r"expected b as an array, got generator: give list\(b\)", lambda: fastbox.best(TWO, (row for row in TWO))),
    (
        r"expected a of real numbers, got dict at row 0: give a frame, .*from_pylist",
        lambda: fastbox.best([FRAME], TWO),
    ),
    (r"expected deltas as an array, got Boxes: give a NumPy array", lambda: fastbox.decode(Boxes(TWO), TWO)),
    (r"expected boxes of shape \(n, 4\), got \(4,\): give a list of it, \[boxes\]", lambda: Boxes(TWO[0])),
    (
        r"got \(2, 5\): give the four of the box alone, as a\[:, :4\], or rotated boxes as RotatedBoxes\(a, FORMAT\)$",
        lambda: fastbox.best(np.ones((2, 5)), TWO),
    ),
    (r"as pred\[:, :4\], or rotated boxes as RotatedBoxes\(pred, ", lambda: fastbox.iou_loss(np.ones((2, 5)), TWO)),
    (r"got \(2, 6\): give the four of the box alone, as a\[:, :4\]$", lambda: fastbox.best(np.ones((2, 6)), TWO)),
    (
        r"expected a of shape \(n, 4\), got a list of 2 sets of boxes: give one after the other, as a\[0\], or all as "
        r"Boxes\(numpy.concatenate\(a\), images=IDS\)",
        lambda: fastbox.best([TWO, TWO[:1]], TWO),
    ),
    (r"got a list of 2 sets of boxes", lambda: fastbox.best([Boxes(TWO), Boxes(TWO)], TWO)),
    (r"got \(1, 2, 4\): give one image after the other, as b\[0\]", lambda: fastbox.best(TWO, [TWO])),
    (r"got 0.5 at row 0: give the classes, not the scores", lambda: nms_by(np.array([0.5, 1.0]))),
    (r"dtype float64 \(1.0 at row 0\): give the classes, not the scores", lambda: nms_by([1.0, 0.25])),
    (r"got dtype float64: cast them, as with np.asarray\(classes\).astype\(int\)", lambda: nms_by(np.ones(2))),
    (r"got 'XYWH'; did you mean 'xywh'\?", lambda: Boxes(TWO, "XYWH")),
    (r"got 'yolo'; did you mean 'rel_cxcywh'\?", lambda: Boxes(TWO, "yolo")),
    (r"got 'GIoU'; did you mean 'giou'\?", lambda: fastbox.best(TWO, TWO, metric="GIoU")),
    (r"got Boxes in xywh: leave format and size out", lambda: Boxes(Boxes(TWO, "xywh"), "cxcywh")),
]


def test_boxes_of_boxes_are_the_same() -> None:
    given = Boxes(TWO, "xywh", images=[3, 5])
    for again in (Boxes(given), Boxes(given, "xywh")):
        assert (again.format, again.images, again.corners().tolist()) == (
            "xywh",
            given.images,
            given.corners().tolist(),
        )
    assert Boxes(given, images=[1, 1]).images.tolist() == [1]


def test_numbers_held_as_objects_are_numbers() -> None:
    assert fastbox.best(np.array(TWO, object), TWO).values.tolist() == [1, 1]
    assert fastbox.nms(np.array(TWO, object), np.array([1, np.float32(0.5)], object), iou_threshold=0.5).tolist() == [0]


@pytest.mark.parametrize(("said", "call"), SAID)
def test_a_message_says_what_came_and_what_to_do(said: str, call: Callable[[], Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        call()


def test_fusion_called_as_ensemble_boxes_is_says_what_to_call() -> None:
    boxes, scores, labels = [[[0.0, 0, 0.5, 0.5]], [[0.0, 0, 0.5, 0.4]]], [[0.9], [0.8]], [[1], [1]]
    calls: list[Callable[[], Any]] = [
        lambda: fastbox.weighted_boxes_fusion(boxes, scores, labels, weights=None, iou_thr=0.5, skip_box_thr=0.0),
        lambda: fastbox.weighted_boxes_fusion(boxes, scores),
        lambda: fastbox.weighted_boxes_fusion([np.array(one) for one in boxes], scores, classes=labels),
        lambda: fastbox.weighted_boxes_fusion(boxes[0], scores[0], iou_thr=0.5),
        lambda: fastbox.weighted_boxes_fusion(boxes_list=boxes, scores_list=scores, labels_list=labels),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="the arguments of ensemble_boxes: join the lists") as caught:
            call()
    said = str(caught.value)
    width, height, weights, iou_thr, skip_box_thr = 100, 50, None, 0.5, 0.0
    names = {"Boxes": Boxes, "np": np, "weighted_boxes_fusion": fastbox.weighted_boxes_fusion, "boxes_list": boxes}
    names |= {"scores_list": scores, "labels_list": labels, "width": width, "height": height, "weights": weights}
    mend = said[said.index("weighted_boxes_fusion(") :]
    fused = eval(mend, names | {"iou_thr": iou_thr, "skip_box_thr": skip_box_thr})
    assert fused.boxes.shape == (1, 4) and fused.classes.tolist() == [1] and fused.scores[0] == pytest.approx(0.85)


@pytest.mark.parametrize("given", [None, 3, [1, 2], ["a.parquet", None], b"a.parquet"])
def test_what_is_no_table_is_told_by_its_type(given: Any) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: list(fastbox.scan(given)),
        lambda: jobs.plan(given),
        lambda: jobs.convert(given, "o.parquet"),
        lambda: jobs.disagreement(given),
        lambda: jobs.evaluate(given, given),
        lambda: jobs.fit_anchors(given),
        lambda: jobs.fuse([given]),
        lambda: jobs.inspect(given),
        lambda: jobs.measure(given),
        lambda: jobs.nms(given),
        lambda: jobs.pairs(given, given),
        lambda: jobs.sort(given, "o.parquet"),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"expected \w+( 1)? as a path, a frame, .*, got \w+( in a list)?: name a"):
            call()
    with pytest.raises(ValueError, match="expected at least one table, got none"):
        jobs.plan()


def test_a_column_of_several_types_is_named() -> None:
    frame = pd.DataFrame({"image_id": ["a", 3], "xmin": 0.0, "ymin": 0.0, "xmax": 1.0, "ymax": 1.0})
    with pytest.raises(
        InputError, match=r"of one type in column 'image_id' of truths \(a DataFrame\), got object: cast"
    ):
        jobs.inspect(frame)


@pytest.mark.slow
def test_options_are_told_where_commands_are_typed_alone() -> None:
    """An option in the text of a message, but for what :func:`fastbox.errors.advice` tells apart, misleads Python."""
    package = Path(fastbox.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("cli", "report") or path.name == "names.py":
            continue  # where commands are typed, and what writes down their lines
        tree = ast.parse(path.read_text())
        told = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", "") in ("advice", "BoxArgument", "Sink", "_field_of")
            for inner in ast.walk(node)
        }
        texts = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)  # docstrings
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told | texts:
                assert not re.search(r"(^|[\s(`])--[a-z]", node.value), f"{path.name}:{node.lineno}: {node.value!r}"


def test_a_logged_warning_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    with logged_on_stderr():
        logging.getLogger("fastbox").warning("a mark has no place")
        logging.getLogger("fastbox").info("sorted first")
    assert capsys.readouterr().err == "warning: a mark has no place\nsorted first\n"
