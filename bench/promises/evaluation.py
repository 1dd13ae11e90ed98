"""Promises of evaluation: pycocotools' figures to the last bit, many times as fast, for any number of detections."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import fastbox
from bench.promises.promise import Setting, Target, in_process
from bench.promises.turns import Calls, Reached, ratio, summed_up, take_turns
from bench.support import scenes
from bench.support.process import COMMAND
from fastbox.evaluation import Evaluation
from fastbox.evaluation.curves import Traced

LVIS = {"images": 20_000, "truths": 245_000, "detections": 2_000_000, "classes": 1203}
COCO = {"images": 5_000, "truths": 36_781, "detections": 44_852, "classes": 80}  # val2017 and one detector
OBJECTS365 = {"images": 80_000, "truths": 1_200_000, "detections": 8_000_000, "classes": 365}
AERIAL = {"images": 10_000, "truths": 100_000, "detections": 1_000_000, "classes": 15}
RUNS = 61
SAMPLES = 1000


def ours(scene: scenes.Annotated) -> list[float]:
    return list(evaluated(scene).stats().values())


def evaluated(scene: scenes.Annotated) -> Evaluation:
    return fastbox.evaluate(
        fastbox.Boxes(scene.boxes, "xywh", images=scene.images),
        scene.scores,
        fastbox.Boxes(scene.targets, "xywh", images=scene.target_images),
        classes=scene.classes,
        truth_classes=scene.target_classes,
        crowd=scene.crowd,
    )


def rotated(scene: scenes.Annotated, **rules: str) -> Callable[[], dict[str, float]]:
    """Evaluate the boxes turned: all of an image alike, give or take some degrees, as ships in a harbour."""
    rng = np.random.default_rng(0)
    way = rng.uniform(-90, 90, int(max(scene.images.max(), scene.target_images.max())) + 1)
    sides = []
    for boxes, images in ((scene.boxes, scene.images), (scene.targets, scene.target_images)):
        x, y, w, h = boxes.T
        angle = way[images] + rng.normal(0, 3, len(images))
        columns = x + w / 2, y + h / 2, w, h, angle
        sides.append(fastbox.RotatedBoxes.from_columns(*columns, format="cxcywhd", images=images))
    kinds = {"classes": scene.classes, "truth_classes": scene.target_classes}
    return lambda: fastbox.evaluate(sides[0], scene.scores, sides[1], **kinds, **rules).stats()


def by_rule(scene: scenes.Annotated, rule: str) -> Callable[[], dict[str, float]]:
    """Evaluate by the rule ``lvis``, with classes that no image has, or by ``coco``; 300 detections of an image."""
    classes = np.unique(scene.target_classes)
    negative = {int(image): classes[image % 7 :: 7].tolist() for image in np.unique(scene.target_images)}
    frequency = {int(kind): "rcf"[place % 3] for place, kind in enumerate(classes)}
    known = fastbox.Federation(negative=negative, frequency=frequency) if rule == "lvis" else None
    given = fastbox.Boxes(scene.boxes, "xywh", images=scene.images), scene.scores
    truths = fastbox.Boxes(scene.targets, "xywh", images=scene.target_images)
    kinds = {"classes": scene.classes, "truth_classes": scene.target_classes}
    params = fastbox.Params(rule=rule, max_dets=[300])
    return lambda: fastbox.evaluate(*given, truths, **kinds, params=params, federation=known).stats()


def samples(scene: scenes.Annotated) -> Callable[[], dict[str, Any]]:
    """Draw samples of the images, others at each call, and trace the curves of each."""
    found, seeds = evaluated(scene), itertools.count()
    return lambda: found.bootstrap(samples=SAMPLES, seed=next(seeds))


def curves(scene: scenes.Annotated) -> Callable[[], dict[str, float]]:
    """Trace the curves of the images as they are, once."""
    found = evaluated(scene)
    traced = found.collected.ranked(None), found.collected.regular(), found.params, found.images
    return lambda: Traced(*traced).stats()


def instances(scene: scenes.Annotated) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Both tables in COCO's format: instances and results."""
    images = np.union1d(scene.images, scene.target_images).tolist()
    truths = zip(scene.target_images.tolist(), scene.target_classes.tolist(), scene.targets.tolist(), strict=True)
    annotations = [
        {"id": k, "image_id": image, "category_id": kind, "bbox": box, "area": box[2] * box[3], "iscrowd": int(crowd)}
        for k, ((image, kind, box), crowd) in enumerate(zip(truths, scene.crowd, strict=True), 1)
    ]
    classes = np.union1d(scene.classes, scene.target_classes).tolist()
    found = zip(scene.images.tolist(), scene.classes.tolist(), scene.boxes.tolist(), scene.scores.tolist(), strict=True)
    results = [{"image_id": i, "category_id": kind, "bbox": box, "score": score} for i, kind, box, score in found]
    return {
        "images": [{"id": image, "width": 1000, "height": 700, "file_name": f"{image}.jpg"} for image in images],
        "annotations": annotations,
        "categories": [{"id": kind, "name": str(kind)} for kind in classes],
    }, results


def pycocotools(scene: scenes.Annotated) -> Callable[[], list[float]]:
    """Evaluate with pycocotools, after its files are read."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    dataset, results = instances(scene)
    with contextlib.redirect_stdout(io.StringIO()):
        truths = COCO()
        truths.dataset = dataset
        truths.createIndex()
        found = truths.loadRes(results)

    def evaluate() -> list[float]:
        with contextlib.redirect_stdout(io.StringIO()):
            judge = COCOeval(truths, found, "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return list(judge.stats)

    return evaluate


def hotcoco(scene: scenes.Annotated, folder: str) -> Callable[[], list[float]]:
    """Evaluate with hotcoco, after its files are read."""
    import json

    import hotcoco as peer

    dataset, results = instances(scene)
    paths = [os.path.join(folder, name) for name in ("truths.json", "results.json")]
    for path, content in zip(paths, (dataset, results), strict=True):
        Path(path).write_text(json.dumps(content))
    with silenced():
        truths = peer.COCO(paths[0])
        found = truths.load_res(paths[1])

    def evaluate() -> list[float]:
        with silenced():
            judge = peer.COCOeval(truths, found, "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return list(judge.stats)

    return evaluate


@contextlib.contextmanager
def silenced() -> Any:
    """Nothing that compiled code prints is seen."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        yield


def over_pycocotools(setting: Setting) -> Reached:
    scene = scenes.annotated(**scaled(setting, COCO))
    theirs = pycocotools(scene)
    assert ours(scene) == theirs()
    calls: Calls = {"fastbox": lambda: ours(scene), "pycocotools": theirs}
    return ratio(take_turns(calls, max(setting.rounds // 5, 1)), "pycocotools", "fastbox")


def over_hotcoco(setting: Setting) -> Reached:
    scene = scenes.annotated(**scaled(setting, COCO))
    with tempfile.TemporaryDirectory() as folder:
        theirs = hotcoco(scene, folder)
    assert ours(scene) == theirs()
    calls: Calls = {"fastbox": lambda: ours(scene), "hotcoco": theirs}
    return ratio(take_turns(calls, setting.rounds), "hotcoco", "fastbox")


def over_curves(setting: Setting) -> Reached:
    scene = scenes.annotated(**scaled(setting, COCO))
    times = take_turns({"samples": samples(scene), "curves": curves(scene)}, max(setting.rounds // 3, 1))
    often = {"samples": times["samples"], "curves so often": [SAMPLES * once for once in times["curves"]]}
    return ratio(often, "curves so often", "samples")


def scaled(setting: Setting, amounts: dict[str, int]) -> dict[str, int]:
    """A data set of the size that the setting asks for; a quick pass has few classes."""
    small = setting.sizes.of(10_000) < 10_000
    share = {name: setting.sizes.of(count) for name, count in amounts.items() if name != "classes"}
    return share | {"classes": 5 if small else amounts["classes"]}


def tables(folder: str, scene: scenes.Annotated, runs: int = 1) -> tuple[str, str]:
    """Write a data set as Parquet; the detections as those of several models."""
    detections, truths = (os.path.join(folder, name) for name in ("detections.parquet", "truths.parquet"))
    order = np.sort(np.tile(np.arange(len(scene.scores)), runs))
    found = {"image_id": scene.images[order], "category_id": scene.classes[order], "score": scene.scores[order]}
    names = pa.DictionaryArray.from_arrays(
        pa.array(np.tile(np.arange(runs, dtype=np.int16), len(scene.scores))), [f"model {run}" for run in range(runs)]
    )
    sides = dict(zip("xywh", scene.boxes[order].T, strict=True))
    pq.write_table(pa.table(found | sides | {"run": names}), detections)
    wanted = {"image_id": scene.target_images, "category_id": scene.target_classes, "iscrowd": scene.crowd}
    pq.write_table(pa.table(wanted | dict(zip("xywh", scene.targets.T, strict=True))), truths)
    return detections, truths


def command(setting: Setting, amounts: dict[str, int], runs: int) -> list[tuple[float, float]]:
    """Seconds and MiB of the whole command, from the start of the process; once before, so that it is compiled."""
    with setting.place() as folder:
        paths = tables(folder, scenes.annotated(**scaled(setting, amounts)), runs)
        little = tables(str(tempfile.mkdtemp(dir=folder)), scenes.annotated(9, 30, 90, 3))
        taken = []
        for pair in [little] + [paths] * max(setting.rounds // 5, 1):
            start = time.perf_counter()
            memory = in_process(COMMAND, "evaluate", *pair, "--by", "run")
            taken.append((time.perf_counter() - start, float(memory)))
    return taken[1:]


def many_runs(setting: Setting) -> Reached:
    each = COCO | {"detections": 1_609_958 // RUNS}
    return summed_up([seconds for seconds, _ in command(setting, each, RUNS)], {})


def aerial(setting: Setting) -> Reached:
    work = rotated(scenes.annotated(**scaled(setting, AERIAL)))
    return summed_up(take_turns({"fastbox": work}, max(setting.rounds // 3, 1))["fastbox"], {})


def large(setting: Setting) -> Reached:
    taken = command(setting, OBJECTS365, 1)
    return summed_up([seconds for seconds, _ in taken], {"MiB": max(memory for _, memory in taken)})


def large_memory(setting: Setting) -> Reached:
    return summed_up([memory for _, memory in command(setting, OBJECTS365, 1)], {})


ARRAYS = """
import sys
import fastbox, numpy as np
from bench.support.process import peak
held = np.load(sys.argv[1])
found = fastbox.evaluate(
    fastbox.Boxes(held["boxes"], "xywh", images=held["images"]),
    held["scores"],
    fastbox.Boxes(held["targets"], "xywh", images=held["target_images"]),
    classes=held["classes"],
    truth_classes=held["target_classes"],
    crowd=held["crowd"],
)
found.stats()
print(peak())
"""


def arrays(setting: Setting) -> Reached:
    with setting.place() as folder:
        path = os.path.join(folder, "scene.npz")
        np.savez(path, **scenes.annotated(**scaled(setting, OBJECTS365))._asdict())
        return summed_up([float(in_process(ARRAYS, path))], {})


EVALUATION = (
    Target("evaluate-hotcoco", "evaluate, 44,852 detections, 2 threads: hotcoco", 2, over_hotcoco),
    Target("evaluate-coco", "evaluate, 44,852 detections: pycocotools", 150, over_pycocotools),
    Target("evaluate-samples", "1,000 samples of the images: their curves, one by one", 4, over_curves),
    Target("evaluate-runs", "fastbox evaluate --by run, 61 runs, 1.6M detections", 5, many_runs, "s", True),
    Target("evaluate-rotated", "evaluate, 1M rotated detections, 100k truths", 5, aerial, "s", True),
    Target("evaluate-large", "fastbox evaluate, 80k images, 8M detections", 15, large, "s", True),
    Target("evaluate-memory", "the same: peak memory", 1536, large_memory, "MiB", True),
    Target("evaluate-arrays", "evaluate, 8M detections in arrays: peak memory, arrays too", 1536, arrays, "MiB", True),
)
