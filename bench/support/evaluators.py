"""Evaluators that read COCO's JSON, each as the code of a whole process, and the files that they read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.promises.promise import in_process
from bench.support.process import compiled
from bench.support.scenes import Annotated

__all__ = [
    "COCO", "CODE", "EVALUATORS", "LARGE", "MIDDLE", "PEERS", "SLOWER", "Taken", "statistics", "take", "write_json",
]  # fmt: skip

COCO = {"images": 5_000, "truths": 36_781, "detections": 44_852, "classes": 80}  # val2017 and one detector
MIDDLE = {"images": 20_000, "truths": 300_000, "detections": 2_000_000, "classes": 80}
LARGE = {"images": 80_000, "truths": 1_200_000, "detections": 8_000_000, "classes": 365}

AT_ONCE = 100_000  # annotations of which there are Python objects at a time
USED = """
import atexit
def tell():
    import resource
    from bench.support.process import peak
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, peak())
atexit.register(tell)
"""
FASTBOX = """
import sys
from fastbox.__main__ import main
sys.argv = ["fastbox", "evaluate", sys.argv[2], sys.argv[1], "--style", "coco"]  # the lines that the peers print
try:
    main()
except SystemExit as end:
    if end.code:
        raise
"""
LEAVING = """
from fastbox.__main__ import leave
leave(0)
"""
AS_PYCOCOTOOLS = """
import sys
{imports}
truths = COCO(sys.argv[1])
judge = COCOeval(truths, truths.{load}(sys.argv[2]), "bbox")
judge.evaluate()
judge.accumulate()
judge.summarize()
stats = list(judge.stats)
"""
VERNIER = """
import os, sys
from pathlib import Path
from vernier.instance import Bbox, CocoDataset, Evaluator
truths = CocoDataset.from_json(Path(sys.argv[1]).read_bytes())
judge = Evaluator(iou=Bbox(), parity_mode="strict")
found = judge.evaluate(truths, Path(sys.argv[2]).read_bytes(), num_threads=os.cpu_count())
print(*found.pretty_lines(), sep="\\n")
stats = list(found.stats)
"""
PEERS = {
    "hotcoco": AS_PYCOCOTOOLS.format(imports="from hotcoco import COCO, COCOeval", load="load_res"),
    "ultrafast_pycocotools": AS_PYCOCOTOOLS.format(
        imports="from ultrafast_pycocotools import COCO, COCOeval", load="loadRes"
    ),
    "vernier": VERNIER,
}
SLOWER = {
    "faster_coco_eval": AS_PYCOCOTOOLS.format(
        imports="from faster_coco_eval import COCO, COCOeval_faster as COCOeval", load="loadRes"
    ),
    "pycocotools": AS_PYCOCOTOOLS.format(
        imports="from pycocotools.coco import COCO\nfrom pycocotools.cocoeval import COCOeval", load="loadRes"
    ),
}
CODE = {"fastbox": FASTBOX, **PEERS, **SLOWER}
EVALUATORS = {name: CODE[name] for name in ("fastbox", *PEERS) if name == "fastbox" or find_spec(name) is not None}


class Taken(NamedTuple):
    """Seconds of a process from its start to its end, seconds of the processors, and the peak of its memory in MiB."""

    wall: float
    cpu: float
    memory: float


def take(evaluator: str, truths: str, results: str) -> Taken:
    """Evaluate two files in a process of its own, which ends as the evaluator's own does.

    Like the peers, fastbox has its bytecode, as when it is installed.
    """
    compiled()
    code = USED + CODE[evaluator] + (LEAVING if evaluator == "fastbox" else "")
    start = time.perf_counter()
    cpu, memory = in_process(code, truths, results, words=2)
    return Taken(time.perf_counter() - start, float(cpu), float(memory))


def statistics(evaluator: str, truths: str, results: str) -> list[float]:
    """Return the twelve statistics of two files."""
    if evaluator == "fastbox":
        from fastbox.jobs import evaluate

        return list(evaluate(results, truths).stats[None].values())
    shown = "import json\nprint()\nprint(json.dumps(stats, separators=(',', ':')))"
    found: list[float] = json.loads(in_process(f"{CODE[evaluator]}\n{shown}", truths, results))
    return found


def write_json(folder: str, scene: Annotated) -> tuple[str, str]:
    """Write the truths and the results of a data set as COCO's JSON; return both paths."""
    truths, results = (os.path.join(folder, name) for name in ("truths.json", "results.json"))
    ids = np.union1d(scene.images, scene.target_images).tolist()
    images = [{"id": image, "width": 1000, "height": 700, "file_name": f"{image}.jpg"} for image in ids]
    kinds = np.union1d(scene.classes, scene.target_classes).tolist()
    head = {"images": images, "categories": [{"id": kind, "name": str(kind)} for kind in kinds]}
    with Path(truths).open("w") as file:
        file.write(json.dumps(head)[:-1] + ', "annotations": ')
        file.writelines(listed(annotations(scene), len(scene.crowd)))
        file.write("}")
    with Path(results).open("w") as file:
        file.writelines(listed(detections(scene), len(scene.scores)))
    return truths, results


def listed(rows: Iterator[dict[str, Any]], count: int) -> Iterator[str]:
    """Yield a list of rows as JSON, some rows at a time."""
    for first in range(0, max(count, 1), AT_ONCE):
        some = [next(rows) for _ in range(min(AT_ONCE, count - first))]
        yield ("[" if first == 0 else ", ") + json.dumps(some)[1:-1]
    yield "]"


def annotations(scene: Annotated) -> Iterator[dict[str, Any]]:
    """Yield the annotations of the truths."""
    for k in range(len(scene.crowd)):
        box, crowd = scene.targets[k].tolist(), int(scene.crowd[k])
        own = {"id": k + 1, "image_id": int(scene.target_images[k]), "category_id": int(scene.target_classes[k])}
        yield {**own, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}


def detections(scene: Annotated) -> Iterator[dict[str, Any]]:
    """Yield the results of the detector."""
    for k in range(len(scene.scores)):
        own = {"image_id": int(scene.images[k]), "category_id": int(scene.classes[k])}
        yield {**own, "bbox": scene.boxes[k].tolist(), "score": float(scene.scores[k])}
