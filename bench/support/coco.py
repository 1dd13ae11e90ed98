"""COCO files of a scene, written block by block, and processes that evaluate them: ours and the peers'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastbox
from bench.support.scenes import Annotated

__all__ = ["PROGRAMS", "Spent", "annotations", "listed", "results", "spent_by", "write"]

BLOCK = 20_000  # elements that are in memory at once

PROGRAMS = {
    "fastbox": "import sys; from fastbox.cli import main; main(['evaluate', *sys.argv[:0:-1], '--style', 'coco'])",
    "hotcoco": """
import sys
from hotcoco import COCO, COCOeval
truths = COCO(sys.argv[1])
judge = COCOeval(truths, truths.load_res(sys.argv[2]), "bbox")
judge.evaluate(), judge.accumulate(), judge.summarize()
""",
    "ultrafast_pycocotools": """
import sys
from ultrafast_pycocotools import COCO, COCOeval
truths = COCO(sys.argv[1])
judge = COCOeval(truths, truths.loadRes(sys.argv[2]), "bbox")
judge.evaluate(), judge.accumulate(), judge.summarize()
""",
    "vernier": """
import os, sys
from pathlib import Path
from vernier.instance import Bbox, CocoDataset, Evaluator
truths, results = (Path(name).read_bytes() for name in sys.argv[1:])
judge = Evaluator(iou=Bbox(), parity_mode="strict")
print(*judge.evaluate(CocoDataset.from_json(truths), results, num_threads=os.cpu_count()).pretty_lines(), sep="\\n")
""",
}


class Spent(NamedTuple):
    """The cost of a process: seconds on the clock and of processors, the peak of its memory in MiB, and its output."""

    seconds: float
    cpu: float
    memory: float
    said: str


def annotations(scene: Annotated, first: int, last: int) -> list[dict[str, Any]]:
    """Some truths of a scene as COCO's annotations."""
    rows = slice(first, last)
    columns = scene.target_images[rows], scene.target_classes[rows], scene.targets[rows], scene.crowd[rows].astype(int)
    truths = zip(range(first + 1, last + 1), *(column.tolist() for column in columns), strict=False)
    return [
        {"id": k, "image_id": image, "category_id": kind, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
        for k, image, kind, box, crowd in truths
    ]


def results(scene: Annotated, first: int, last: int) -> list[dict[str, Any]]:
    """Some detections of a scene as COCO's results."""
    columns = (column[first:last].tolist() for column in (scene.images, scene.classes, scene.boxes, scene.scores))
    return [
        {"image_id": image, "category_id": kind, "bbox": box, "score": score}
        for image, kind, box, score in zip(*columns, strict=True)
    ]


def listed(scene: Annotated) -> dict[str, list[dict[str, Any]]]:
    """The images and the categories of a scene as COCO lists them."""
    images = np.union1d(scene.images, scene.target_images).tolist()
    classes = np.union1d(scene.classes, scene.target_classes).tolist()
    return {
        "images": [{"id": image, "width": 1000, "height": 700, "file_name": f"{image}.jpg"} for image in images],
        "categories": [{"id": kind, "name": str(kind)} for kind in classes],
    }


def write(folder: str | os.PathLike[str], scene: Annotated) -> tuple[str, str]:
    """Write a scene as instances and results, and return their paths."""
    truths, found = (Path(folder, name) for name in ("truths.json", "results.json"))
    with truths.open("w") as file:
        file.write(json.dumps(listed(scene))[:-1] + ', "annotations": [')
        file.writelines(_blocks(annotations, scene, len(scene.crowd)))
        file.write("]}")
    with found.open("w") as file:
        file.write("[")
        file.writelines(_blocks(results, scene, len(scene.scores)))
        file.write("]")
    return str(truths), str(found)


def _blocks(elements: Any, scene: Annotated, count: int) -> Iterator[str]:
    for first in range(0, count, BLOCK):
        yield (", " if first else "") + json.dumps(elements(scene, first, min(first + BLOCK, count)))[1:-1]


def spent_by(name: str, truths: str, found: str) -> Spent:
    """Run a program on two files in a fresh process, from the start of the process to its end."""
    root = os.path.dirname(os.path.dirname(fastbox.__file__))
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAMS[name], truths, found],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
    assert process.returncode == 0, f"{name} ended with {process.returncode}"
    return Spent(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said)
