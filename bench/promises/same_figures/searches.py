"""Searches between two collections of boxes, of one image and image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.promises.same_figures.inputs import Inputs, crowded
from bench.promises.same_figures.spellings import call, public

Call = tuple[str, Callable[[], Any]]

TYPES = (np.float32, np.float64)
MORE_TYPES = (np.float16, np.int32, np.int64, np.uint8)
DISTANCES = {"l1": 60.0, "smooth_l1": 60.0}


def calls(given: Inputs) -> Iterator[Call]:
    """Yield all searches."""
    yield from of_metrics(given)
    yield from of_formats(given)
    yield from of_types(given)
    yield from indexed()
    yield from grouped(given)
    yield from sketches(given)


def of_metrics(given: Inputs) -> Iterator[Call]:
    """Yield every search, by each metric and of each type."""
    yield "METRICS", lambda: list(public("METRICS"))
    yield "FORMATS", lambda: list(public("FORMATS"))
    for metric in public("METRICS"):
        for dtype in TYPES:
            a, b = given.a[:300].astype(dtype), given.b[:200].astype(dtype)
            yield from searched(f"{metric}.{np.dtype(dtype).name}", a, b, metric)


def searched(name: str, a: Any, b: Any, metric: str) -> Iterator[Call]:
    """Yield every search by one metric."""
    least = DISTANCES.get(metric, 0.2)
    yield f"pairwise.{name}", call("pairwise", a, b, metric=metric)
    yield f"aligned.{name}", call("aligned", a[:200], b, metric=metric)
    yield f"best.{name}", call("best", a, b, metric=metric)
    yield f"top.{name}", call("top", a, b, k=5, metric=metric)
    yield f"pairs.{name}", call("pairs", a, b, threshold=least, metric=metric)
    yield f"pairs.within.{name}", call("pairs", b, threshold=least, metric=metric)
    yield f"histogram.{name}", call("histogram", a, b, metric=metric, range=(-1, 4000))
    if metric == "smooth_l1":
        yield f"pairwise.{name}.beta", call("pairwise", a, b, metric=metric, beta=7.5)
        yield f"pairs.{name}.beta", call("pairs", a, b, metric=metric, beta=7.5, threshold=least)
    if metric in ("iou", "giou"):
        yield f"histogram.{name}.bins", call("histogram", a, b, metric=metric, bins=7)


def of_formats(given: Inputs) -> Iterator[Call]:
    """Yield what boxes of each format are, and searches between two formats."""
    boxes = public("Boxes")
    for form in public("FORMATS"):
        a = boxes(given.a[:300], form)
        yield f"format.{form}.corners", a.corners
        yield f"format.{form}.invalid", a.invalid
        yield f"format.{form}.columns", partial(columns_of, a)
        yield f"format.{form}.astype", partial(corners_of, a, np.float32)
        for other in public("FORMATS"):
            yield f"format.{form}.{other}.pairwise", call("pairwise", a, boxes(given.b[:90], other), metric="giou")
            yield f"format.{form}.{other}.best", call("best", a, boxes(given.b[:90], other))
        share: Any = np.abs(np.nan_to_num(given.a[:90])) / 640
        yield (
            f"format.{form}.rel",
            partial(relative, share, f"rel_{form}"),
        )
    columns = [np.ascontiguousarray(column) for column in given.a[:50].T]
    yield "format.columns", lambda: boxes.from_columns(*columns, format="xywh").corners()
    yield "format.arrow", lambda: of_arrow(boxes.from_arrow(pq.read_table("truths.parquet")))
    yield "format.listed", lambda: of_arrow(boxes.from_arrow(pq.read_table("listed.parquet"), format="xyxy"))


def columns_of(boxes: Any) -> list[Any]:
    """Return the columns that boxes hold."""
    return list(boxes.columns)


def corners_of(boxes: Any, dtype: Any) -> Any:
    """Return the corners of boxes of another type."""
    return boxes.astype(dtype).corners()


def relative(share: Any, form: str) -> Any:
    """Return the corners of boxes that are told as fractions of their image."""
    return public("Boxes")(share, form, size=(640, 480)).corners()


def of_arrow(boxes: Any) -> dict[str, Any]:
    """Return all that boxes from a table hold."""
    return {"corners": boxes.corners(), "images": boxes.images, "offsets": boxes.offsets}


def of_types(given: Inputs) -> Iterator[Call]:
    """Yield searches of boxes of less usual types, of strides and of lists."""
    a, b = np.nan_to_num(given.a[:120]).clip(0, 250), given.b[:80].clip(0, 250)
    for dtype in MORE_TYPES:
        name = np.dtype(dtype).name
        yield f"type.pairwise.{name}", call("pairwise", a.astype(dtype), b.astype(dtype))
        yield f"type.best.{name}", call("best", a.astype(dtype), b)
    yield "type.strided", call("pairwise", a[::-3], np.asfortranarray(b), metric="diou")
    yield "type.lists", call("pairwise", a[:5].tolist(), b[:4].tolist())
    yield "type.empty", call("best", a, b[:0])
    yield "type.out", call("pairwise", a, b, out=np.empty((len(a), len(b))))


def indexed() -> Iterator[Call]:
    """Yield the searches that go through the index."""
    for dtype in TYPES:
        a, b = crowded(6000).astype(dtype), crowded(5000, 8).astype(dtype)
        for metric in ("iou", "iof", "ios", "giou", "l1"):
            name = f"indexed.{metric}.{np.dtype(dtype).name}"
            yield f"{name}.best", call("best", a, b, metric=metric)
            yield f"{name}.pairs", call("pairs", a, b, threshold=DISTANCES.get(metric, 0.3), metric=metric)
            yield f"{name}.within", call("pairs", a, threshold=DISTANCES.get(metric, 0.3), metric=metric)
            yield f"{name}.top", call("top", a, b, k=3, metric=metric)


def grouped(given: Inputs) -> Iterator[Call]:
    """Yield searches image by image, by ids, by text and by offsets."""
    boxes = public("Boxes")
    a, b = boxes(given.a, images=given.images_a), boxes(given.b, images=given.images_b)
    for metric in public("METRICS"):
        least = DISTANCES.get(metric, 0.4)
        yield f"grouped.pairwise.{metric}", call("pairwise", a, b, metric=metric)
        yield f"grouped.best.{metric}", call("best", a, b, metric=metric)
        yield f"grouped.pairs.{metric}", call("pairs", a, b, threshold=least, metric=metric)
        yield f"grouped.within.{metric}", call("pairs", b, threshold=least, metric=metric)
        yield f"grouped.top.{metric}", call("top", a, b, k=3, metric=metric)
        yield f"grouped.histogram.{metric}", call("histogram", a, b, metric=metric, range=(-1, 4000))
    text_a = boxes(given.a, images=[f"frame {image:03}" for image in given.images_a])
    text_b = boxes(given.b, images=[f"frame {image:03}" for image in given.images_b])
    yield "grouped.text.images", lambda: {"images": list(text_a.images), "offsets": text_a.offsets}
    yield "grouped.text.best", call("best", text_a, text_b)
    yield (
        "grouped.offsets",
        call("best", boxes(given.a[:90], offsets=[0, 30, 30, 90]), boxes(given.b[:3], offsets=range(4))),
    )


def sketches(given: Inputs) -> Iterator[Call]:
    """Yield the summaries of streams of values."""
    values = np.concatenate([given.a.ravel() - 100, [np.inf, -np.inf, 0.0, 1e-300, 1e300]])
    for dtype in (*TYPES, np.int64):
        given_values = np.nan_to_num(values, posinf=9, neginf=-9).clip(-1e9, 1e9) if dtype is np.int64 else values
        yield f"sketch.{np.dtype(dtype).name}", partial(sketched, given_values.astype(dtype))


def sketched(values: Any) -> dict[str, Any]:
    """Return all that a sketch tells, and the sum of two."""
    kind = public("sketch.Sketch")
    one, two = kind(), kind()
    one.add(values)
    two.add(values[::3] * 2)
    both = one + two
    return {
        "state": both.state(),
        "again": kind.of_state(both.state()).to_dict([-10, 0, 10, 100]),
        "quantiles": [both.quantile(q) for q in (0.0, 0.01, 0.25, 0.5, 0.9, 1.0)],
        "told": {key: getattr(both, key) for key in ("count", "nans", "mean", "min", "max")},
        "histogram": both.histogram([-100, -1, 0, 1, 100, 1000]),
    }
