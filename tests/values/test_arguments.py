"""Calls with arguments that a function hasn't, or of types that it can't take: one sentence, with what to give."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.paths import ROOT

import fastbox
from fastbox import AnchorGrid, Params, Source, fragments, jobs

API: Any = fastbox  # which is called wrongly here
PARAMS: Any = Params
LIMITS: Any = jobs.Limits
JOBS: Any = jobs
SPREAD: Any = fragments.spread
TWO = [[0.0, 0, 4, 4], [1.0, 0, 4, 4]]


def boxes(score: list[float]) -> pa.Table:
    columns = {"image_id": [1] * len(score), "score": score}
    return pa.table(columns | {name: [0.0 if name[1:] == "min" else 4.0] * len(score) for name in CORNERS})


CORNERS = ("xmin", "ymin", "xmax", "ymax")


WRONG_TYPES: list[tuple[Callable[[Any], Any], str]] = [
    (lambda t: JOBS.pairs(t, metrics="iou"), r"metrics as a list of names, got 'iou': give ['iou']"),
    (lambda t: JOBS.pairs(t, class_column=True), "class_column as text, got True: give 'category_id'"),
    (lambda t: JOBS.pairs(t, t, 0.5), "out as a path, got 0.5"),
    (lambda t: JOBS.pairs(t, threshold="0.5"), "threshold as a number, got '0.5': give 0.5"),
    (lambda t: JOBS.pairs(t, threshold=None), "threshold as a number, got None"),
    (lambda t: JOBS.pairs(t, best=1), "best as True or False, got 1"),
    (lambda t: JOBS.nms(t, keep="score"), "keep as a list of names, got 'score': give ['score']"),
    (lambda t: JOBS.nms(t, rows=1e6), "rows as a whole number, got 1000000.0: give 1000000"),
    (lambda t: JOBS.nms(t, min_score="a"), "min_score as a number, got 'a'"),
    (lambda t: JOBS.nms(t, progress=True), "progress as a function, got True"),
    (lambda t: JOBS.nms(t, report=3), "arguments that nms has (detections, out, iou_threshold, "),
    (lambda t: JOBS.nms(t, iou_thr=0.5), "got iou_thr: did you mean iou_threshold?"),
    (lambda t: JOBS.fuse([t], skip_box_thr=0.5), "got skip_box_thr: did you mean min_score?"),
    (lambda t: JOBS.fuse("a.parquet", "b.parquet"), "tables as a list, got 'a.parquet': give ['a.parquet']"),
    (lambda t: JOBS.fuse([t], weights="2,1"), "weights as a list of numbers, got '2,1': give [2.0, 1.0]"),
    (lambda t: JOBS.evaluate(t), "truths in a call of evaluate, got none: give evaluate(detections, truths)"),
    (lambda t: JOBS.evaluate(t, t, thresholds=[0.5]), "got thresholds: give params=Params(iou_thresholds=...)"),
    (lambda t: JOBS.evaluate(t, t, params={}), "params as a Params, got {}: give Params(iou_thresholds="),
    (lambda t: JOBS.evaluate(t, t, samples="5"), "samples as a whole number, got '5': give 5"),
    (lambda t: JOBS.evaluate(t, t, names=3), "names as a list of names or a dict"),
    (lambda t: JOBS.evaluate(t, t, None, "model"), "3 arguments of evaluate without a name (detections, truths, out)"),
    (lambda t: JOBS.evaluate(t, t, report=3), "report as a path, got 3"),
    (lambda t: PARAMS(iou_thresholds=0.5), "iou_thresholds as a list of numbers, got 0.5: give [0.5]"),
    (lambda t: PARAMS(iou_thresholds="0.5"), "iou_thresholds as a list of numbers, got '0.5': give [0.5]"),
    (lambda t: PARAMS(max_dets=100), "max_dets as a list of whole numbers, got 100: give [100]"),
    (lambda t: PARAMS(area_ranges={"all": 5}), "area_ranges as a dict of text to 2 numbers, got"),
    (lambda t: JOBS.inspect(t, near=0.9), "got near: give limits=jobs.Limits(near=...)"),
    (
        lambda t: JOBS.inspect(t, limits={"near": 0.9}),
        "limits as a Limits, got {'near': 0.9}: give jobs.Limits(near=0.9)",
    ),
    (
        lambda t: JOBS.inspect(t, size_columns="width,height"),
        "size_columns as 2 names, got 'width,height': give ('width', 'height')",
    ),
    (lambda t: LIMITS(near="0.9"), "near as a number, got '0.9': give 0.9"),
    (
        lambda t: JOBS.assign(t, "retinanet", resize=None),
        "an AnchorGrid, got 'retinanet': give AnchorGrid.preset('retin",
    ),
    (
        lambda t: JOBS.assign(t, AnchorGrid.preset("retinanet"), resize=[800, 1333]),
        "a Resize or a number or text, got [800, 1333]: give jobs.Resize('shorter', 800, 1333)",
    ),
    (lambda t: JOBS.assign(t, AnchorGrid.preset("retinanet")), "got none: give assign(truths, anchors, resize=...)"),
    (lambda t: JOBS.fit_anchors(t, count=2.5), "count as a whole number, got 2.5"),
    (lambda t: JOBS.fit_anchors(t, size=640), "size as 2 numbers, got 640: give (640, 640)"),
    (lambda t: JOBS.fit_anchors(t, size="640x480"), "size as 2 numbers, got '640x480': give (640.0, 480.0)"),
    (lambda t: JOBS.fit_anchors(t, against="yolov5"), "against as a list of names, got 'yolov5': give ['yolov5']"),
    (lambda t: JOBS.regression(losses="iou"), "losses as a list of names, got 'iou': give ['iou']"),
    (lambda t: SPREAD("nms", t), "job as a function, got 'nms': give jobs.nms"),
    (
        lambda t: SPREAD(jobs.nms, t, engine="threads"),
        "engine as a function, got 'threads': give fastbox.fragments.threads",
    ),
    (lambda t: SPREAD(jobs.nms, t, thresh=0.5), "got thresh: did you mean iou_threshold?"),
    (lambda t: SPREAD(jobs.nms, t, iou_threshold="0.5"), "iou_threshold as a number, got '0.5': give 0.5"),
    (lambda t: JOBS.sort(t), "out in a call of sort, got none: give sort(tables, out)"),
    (lambda t: JOBS.sort(t, "o.parquet", tables=t), "tables of sort once, got it by its place and by its name"),
    (
        lambda t: JOBS.synthesize("o.parquet"),
        "count in a call of synthesize, got none: give synthesize(truths, count=...)",
    ),
    (lambda t: JOBS.synthesize("o.parquet", count=2.5), "count as a whole number, got 2.5"),
    (lambda t: JOBS.regression(points=2.5), "points as a whole number, got 2.5"),
    (lambda t: JOBS.synthesize("o.parquet", count="5"), "count as a whole number, got '5': give 5"),
    (lambda t: JOBS.plan(t, fragment_rows="5"), "fragment_rows as a whole number, got '5': give 5"),
    (lambda t: JOBS.convert(t), "out in a call of convert, got none: give convert(source, out)"),
    (lambda t: JOBS.convert(t, 3), "out as a path, got 3"),
    (lambda t: JOBS.nms(Source(t, boxes=["xmin", "ymin"])), "the name of a column of detections (a Table) as text"),
]


@pytest.mark.parametrize(("call", "says"), WRONG_TYPES, ids=[says for _, says in WRONG_TYPES])
def test_arguments_of_another_type_or_name_are_refused_in_a_sentence(call: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(TypeError) as caught:
        call(boxes([0.5, 0.9, 0.1]))
    said = str(caught.value)
    assert said.startswith("expected ") and says in said and "\n" not in said


MISCALLED: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: API.nms(TWO, [1, 1], 0.5),
        "2 arguments of nms without a name (boxes, scores), got 3: name the others, iou",
    ),
    (lambda: API.nms(TWO, [1, 1], iou_thr=0.5), "got iou_thr: did you mean iou_threshold?"),
    (lambda: API.nms(TWO, [1, 1], idxs=[1, 1], iou_threshold=0.5), "got idxs: did you mean classes?"),
    (
        lambda: API.nms(TWO, [1, 1]),
        "iou_threshold in a call of nms, got none: give nms(boxes, scores, iou_threshold=...)",
    ),
    (lambda: API.nms(TWO, iou_threshold=0.5), "scores in a call of nms, got none"),
    (lambda: API.soft_nms(TWO, [1, 1], Nt=0.5), "got Nt: did you mean iou_threshold?"),
    (lambda: API.pairs(TWO, TWO, 0.5), "got 3: name the others, threshold=0.5"),
    (lambda: API.pairwise(TWO, TWO, "giou"), "got 3: name the others, metric='giou'"),
    (
        lambda: API.pairwise(TWO, TWO, format="xywh"),
        "arguments that pairwise has (a, b, metric, beta, out), got format",
    ),
    (lambda: API.evaluate("d.parquet", "t.parquet"), "truths in a call of evaluate, got none"),
    (lambda: API.evaluate(TWO, [1, 1], TWO, thresholds=[0.5]), "give params=Params(iou_thresholds=...)"),
    (lambda: API.match(TWO), "truths in a call of match, got none: give match(anchors, truths)"),
    (lambda: API.match_greedy(TWO, TWO), "truths in a call of match_greedy, got none"),
    (lambda: API.giou_loss(TWO, TWO, eps=1e-7), "arguments that giou_loss has (pred, target, reduction, "),
    (lambda: API.smooth_l1_loss(TWO, TWO, 1.0), "got 3: name the others, beta=1.0"),
    (lambda: API.decode(TWO), "anchors in a call of decode, got none"),
    (lambda: API.scan(), "a in a call of scan, got none: give scan(a)"),
    (
        lambda: API.Boxes(TWO, fmt="xywh"),
        "arguments that Boxes has (coords, format, images, offsets, size), got fmt",
    ),
]


@pytest.mark.parametrize(("call", "says"), MISCALLED, ids=[says for _, says in MISCALLED])
def test_a_call_that_does_not_fit_says_what_does(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    said = str(caught.value)
    assert said.startswith("expected ") and says in said and "\n" not in said


def test_functions_are_what_they_were() -> None:
    for name in ("nms", "pairs", "evaluate", "scan", "giou_loss"):
        function = getattr(fastbox, name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert function.__doc__ and function.__module__.startswith("fastbox.")
        assert list(inspect.signature(function).parameters)
    with pytest.raises(TypeError, match="expected scores of real numbers"):
        fastbox.nms(TWO, ["a", "b"], iou_threshold=0.5)


@pytest.mark.parametrize("one", [np.timedelta64(2, "s"), np.complex128(2), 2j])
def test_no_durations_and_no_complex_numbers(one: Any) -> None:
    with pytest.raises(TypeError, match="expected boxes of real numbers, got"):
        fastbox.Boxes(np.array([[0, 0, one, 2]], object))


def test_rooms_are_there_without_an_import_of_their_own() -> None:
    code = "import fastbox; print(fastbox.jobs.nms.__module__, fastbox.fragments.threads.__module__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fastbox.jobs.nms", "fastbox.fragments.engines"]
    with pytest.raises(AttributeError, match="has no attribute 'box_iou'"):
        API.box_iou  # noqa: B018
