"""Jobs over tables, called from Python: on files, on boxes in memory and in fragments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.promises.same_figures.inputs import Inputs
from bench.promises.same_figures.spellings import call, public

Call = tuple[str, Callable[[], Any]]

A, B = "detections.parquet", "truths.parquet"
PAIRS = "data/pairs.parquet"


def calls(given: Inputs) -> Iterator[Call]:
    """Yield all jobs."""
    boxes = public("Boxes")
    a, b = boxes(given.a, images=given.images_a), boxes(given.b, images=given.images_b)
    yield from on_tables()
    yield from on_evaluations()
    yield from on_memory(a, b)
    yield from scans()
    yield from resized()


def on_tables() -> Iterator[Call]:
    """Yield jobs with a file to write."""
    grid = public("AnchorGrid").preset("retinanet")
    by_class = {"class_column": "category_id", "class_agnostic": False}
    size = public("jobs.Resize").parse("300x200")
    limits = public("jobs.Limits")(tolerance=2.0, near=0.9, huge=0.2)
    named: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
        "assign": ("assign", (B, grid), {"resize": size, "class_column": "category_id", "ignore_column": "iscrowd"}),
        "assign.rule": ("assign", (B, grid), {"resize": size, "rule": public("MatchRule").tf(0.6)}),
        "fuse": ("fuse", (["good.parquet", "other.parquet"],), {"iou_threshold": 0.4, "class_agnostic": True}),
        "fuse.weights": ("fuse", ([A, "other.parquet"],), {"weights": [1.0, 3.0], "conf_type": "max"}),
        "measure": ("measure", (PAIRS,), {"metrics": ("iou", "ciou", "huber_loss"), "grad": True, "delta": 3.0}),
        "nms": ("nms", (A,), {"iou_threshold": 0.6, "class_agnostic": True, "min_score": 0.2}),
        "nms.classes": ("nms", (A,), {"class_agnostic": False, "method": "soft-gaussian", "sigma": 0.4}),
        "pairs": ("pairs", (A, B), {"metrics": ("giou", "l1"), "threshold": 0.1, "keep": ("score",)}),
        "pairs.classes": ("pairs", (A, B), {"best": True, "boxes": True, **by_class}),
        "pairs.every": ("pairs", (A, B), {"every": True, "metrics": ("smooth_l1",), "beta": 2.0}),
        "regression": ("regression", (), {"points": 20, "steps": 30, "seed": 4}),
    }
    for name, (job, given, options) in named.items():
        yield name, partial(written, f"jobs.{job}", name, given, options)
    yield "inspect", partial(inspected, limits)
    yield (
        "fit_anchors",
        partial(of_result, call("jobs.fit_anchors", "clean.parquet", count=5, size=(640, 480), resize=512)),
    )
    yield "disagreement", partial(of_result, call("jobs.disagreement", PAIRS, beta=3.0))
    yield "plan", partial(of_result, call("jobs.plan", A, B, fragment_rows=200))
    yield "sort", partial(sorted_table)
    yield "synthesize", partial(synthesized)
    yield "convert", partial(converted)


def of_result(job: Callable[[], Any]) -> dict[str, Any]:
    """Return all that the result of a job tells."""
    found = job()
    return {"json": found.to_dict(), "tables": {name: found.to_arrow(name) for name in found.tables()}}


def written(job: str, name: str, given: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return what a job tells and writes, in one go, in small steps and in fragments."""
    folder = Path("jobs", name)
    folder.mkdir(parents=True)
    out = folder / "out.parquet"
    found = {"told": of_result(call(job, *given, out=out, **options)), "file": out}
    if job == "jobs.regression":
        return found
    steps = folder / "steps.parquet"
    found["steps"] = {"told": of_result(call(job, *given, out=steps, rows=128, **options)), "file": steps}
    return found


def inspected(limits: Any) -> dict[str, Any]:
    """Inspect a table, with the images beside it, and return the results and the outputs."""
    folder = Path("jobs", "inspect")
    folder.mkdir(parents=True)
    files = {"out": folder / "problems.parquet", "fix": folder / "fixed.parquet", "changes": folder / "log.parquet"}
    made = of_result(call("jobs.inspect", B, "images.parquet", limits=limits, **files))
    return {"told": made, "files": files}


def sorted_table() -> dict[str, Any]:
    """Sort a table by another column."""
    told = call("jobs.sort", "truths.parquet", "sorted.parquet", image_column="category_id")()
    return {"told": told, "file": Path("sorted.parquet")}


def synthesized() -> dict[str, Any]:
    """Make data up."""
    files = {"detections": Path("made-d.parquet"), "pairs": Path("made-p.parquet")}
    told = call("jobs.synthesize", "made.parquet", count=12, seed=8, **files)()
    return {"told": told, "truths": Path("made.parquet"), **files}


def converted() -> dict[str, Any]:
    """Convert a table to an annotation file."""
    told = call("jobs.convert", "clean.parquet", "made.json", out_format="coco", class_column="category_id")()
    return {"told": told, "file": Path("made.json")}


def on_evaluations() -> Iterator[Call]:
    """Yield the evaluation of tables, with parameters and columns of one's own."""
    params = call("Params", class_agnostic=True, max_dets=(3, 20))()
    options: dict[str, dict[str, Any]] = {
        "plain": {},
        "params": {"params": params, "samples": 12, "seed": 5},
        "by": {"by": "run", "samples": 8},
        "columns": {"crowd_column": "difficult", "ignore_column": None, "area_column": None},
    }
    for name, chosen in options.items():
        yield f"evaluate.{name}", partial(written, "jobs.evaluate", f"evaluate.{name}", (A, B), chosen)


def on_memory(a: Any, b: Any) -> Iterator[Call]:
    """Yield jobs on boxes in memory and on Arrow tables, and jobs in fragments."""
    yield "memory.pairs", partial(of_result, call("jobs.pairs", a, b, metrics=("iou", "giou", "smooth_l1")))
    yield "memory.inspect", partial(of_result, call("jobs.inspect", b))
    yield "memory.table", partial(of_result, call("jobs.pairs", pq.read_table(A), pq.read_table(B)))
    source = public("Source")(B, boxes="xmin,ymin,xmax,ymax", format="xyxy")
    yield "memory.source", partial(of_result, call("jobs.inspect", source))
    for job in ("pairs", "evaluate"):
        yield f"spread.{job}", partial(spread, job, (A, B))
    yield "spread.nms", partial(spread, "nms", (A,))
    yield "spread.inspect", partial(spread, "inspect", (B,))


def spread(job: str, tables: tuple[str, ...]) -> dict[str, Any]:
    """Run a job in fragments, and return its result."""
    return of_result(call("fragments.spread", public(f"jobs.{job}"), *tables, fragment_rows=300))


def scans() -> Iterator[Call]:
    """Yield the chunks of tables."""
    yield "scan.one", lambda: [of_chunk(chunk) for chunk in public("scan")(B, rows=200)]
    yield "scan.two", lambda: [of_chunk(chunk) for chunk in public("scan")(A, B, rows=300)]
    source = {"columns": ("score",), "image": None}
    yield "scan.rows", lambda: [of_chunk(chunk) for chunk in public("scan")(public("Source")(A, **source), rows=500)]


def of_chunk(chunk: Any) -> dict[str, Any]:
    """Return the boxes and the columns of a chunk."""
    return {
        "images": chunk.images,
        "a": chunk.a.corners(),
        "b": None if chunk.b is None else chunk.b.corners(),
        "starts": [chunk.a_start, chunk.b_start],
        "columns": [chunk.a_columns, chunk.b_columns],
    }


def resized() -> Iterator[Call]:
    """Yield the scales of images that are resized."""
    wide, high = np.array([640.0, 333.0, 1920.0]), np.array([480.0, 500.0, 1080.0])
    for rule in ("640", "300x200"):
        yield f"resize.{rule}", partial(scales, rule, wide, high)


def scales(rule: str, wide: Any, high: Any) -> list[Any]:
    """Return the scales of images by a rule."""
    return list(public("jobs.Resize").parse(rule).scales(wide, high))
