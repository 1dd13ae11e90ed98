"""Promises of conversion: COCO's largest file as a table in seconds, in little more memory than its bytes."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np

from bench.promises.promise import Setting, Target, in_process
from bench.promises.turns import Reached, summed_up
from bench.support.process import COMMAND, compiled

COCO = {"annotations": 860_001, "images": 118_287}  # instances_train2017.json
POINTS = (20, 37)  # of an outline, so that a full file has as many bytes as COCO's
BLOCK = 10_000


def write_instances(path: Path, annotations: int, images: int, *, seed: int = 0) -> None:
    """Write COCO instances with outlines, boxes of two decimals, and images in no order."""
    rng = np.random.default_rng([seed, annotations])
    outline = ",".join(f"{value:.2f}" for value in rng.uniform(100, 640, BLOCK + 2 * POINTS[1]).clip(100, 639.99))
    width = len("100.00,")
    with path.open("w", buffering=1 << 20) as file:
        file.write('{"info": {"year": 2017}, "images": [')
        for image in range(images):
            name, comma = f"{image:012d}.jpg", ", " if image else ""
            file.write(f'{comma}{{"license": 4, "file_name": "{name}", "height": 480, "width": 640, "id": {image}}}')
        file.write('], "annotations": [')
        for first in range(0, annotations, BLOCK):
            n = min(BLOCK, annotations - first)
            boxes = rng.uniform(0, 320, (n, 4)).round(2)
            areas = (boxes[:, 2] * boxes[:, 3] * 0.7).tolist()
            starts, counts = rng.integers(0, BLOCK, n), 2 * rng.integers(*POINTS, n)
            outlines = zip((width * starts).tolist(), (width * (starts + counts) - 1).tolist(), strict=True)
            more = zip(rng.integers(0, images, n).tolist(), rng.integers(1, 91, n).tolist(), strict=True)
            file.write(", " if first else "")
            file.write(
                ", ".join(
                    f'{{"segmentation": [[{outline[start:stop]}]], "area": {area}, "iscrowd": {int(k % 90 == 0)}, '
                    f'"image_id": {image}, "bbox": {box}, "category_id": {category}, "id": {k}}}'
                    for k, ((start, stop), area, (image, category), box) in enumerate(
                        zip(outlines, areas, more, boxes.tolist(), strict=True), first + 1
                    )
                )
            )
        categories = ", ".join(f'{{"id": {number}, "name": "c{number}"}}' for number in range(1, 91))
        file.write(f'], "categories": [{categories}]}}')


@cache
def converted(setting: Setting) -> tuple[list[float], list[float], int]:
    """Seconds and MiB of the whole command, from the start of the process, and the bytes of its input."""
    amounts = {name: setting.sizes.of(count) for name, count in COCO.items()}
    taken = []
    with setting.place() as folder:
        source, out = Path(folder, "train.json"), Path(folder, "train.parquet")
        write_instances(source, **amounts)
        compiled()
        for _ in range(max(setting.rounds // 5, 1)):
            start = time.perf_counter()
            memory = in_process(COMMAND, "convert", str(source), str(out))
            taken.append((time.perf_counter() - start, float(memory)))
        size = source.stat().st_size
    return [seconds for seconds, _ in taken], [memory for _, memory in taken], size


def seconds(setting: Setting) -> Reached:
    times, _, size = converted(setting)
    return summed_up(times, {"MB": round(size / 1e6)})


def memory(setting: Setting) -> Reached:
    return summed_up(converted(setting)[1], {})


FORMATS = (
    Target("convert-json", "fastbox convert, COCO JSON with 860k outlines, 480 MB", 1, seconds, "s", True),
    Target("convert-json-memory", "the same: peak memory", 400, memory, "MiB", True),
)
