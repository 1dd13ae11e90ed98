"""The ranking of `fastbox suspects` on truths with seeded mistakes, beside hotcoco and the scores of ObjectLab.

``python -m bench.promises.suspects`` prints the precision at k: of the k suspects of a kind with the highest suspicion,
the share that are mistakes of this kind, where k is the number of these mistakes. The truths are COCO's of val2017;
mistakes that they have already count against every method. The scores were tuned with seed 1; other seeds are reported.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.promises.evaluation import silenced
from bench.support.corrupted import Corrupted, Truths, corrupt
from bench.support.objectlab import box_suspicions
from bench.support.paths import public_data
from fastbox import jobs

__all__ = ["ALONE", "KINDS", "METHODS", "Found", "Ranking", "detections", "of_fastbox", "precisions", "truths"]

KINDS = ("wrong_class", "missing", "badly_placed", "spurious", "duplicate")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ALONE = "dividiti/velociti-tensorflow-v1.14-cpu/rcnn-nas-lowproposals"  # the model that is shown alone
HIT = 0.5  # IoU of a suggested box with a dropped truth

# By kind the rows of truths, or of detections of missing truths, the most suspicious first; both truths of a duplicate.
Ranking = dict[str, NDArray[np.int64]]


class Found(NamedTuple):
    """Detections in the order of their images: corners, images, classes, scores and models."""

    boxes: NDArray[Any]
    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    models: NDArray[Any]

    def of_model(self, model: str) -> Found:
        """Return the detections of one model."""
        return Found(*(column[self.models == model] for column in self))


def truths() -> Truths:
    """Read the truths of val2017."""
    table = pq.read_table(public_data("coco_val2017_gt.parquet"))
    crowd = np.asarray(table["iscrowd"].to_numpy(zero_copy_only=False))
    return Truths(_corners(table), _integers(table, "image_id"), _integers(table, "category_id"), crowd)


def detections() -> Found:
    """Read the detections of 12 models."""
    table = pq.read_table(public_data("coco_val2017_dets_12models.parquet"))
    scores, models = table["score"].to_numpy().astype(np.float64), np.array(table["run"].to_pylist())
    return Found(_corners(table), _integers(table, "image_id"), _integers(table, "category_id"), scores, models)


def _corners(table: pa.Table) -> NDArray[Any]:
    return np.stack([table[name].to_numpy().astype(np.float64) for name in CORNERS], axis=1)


def _integers(table: pa.Table, name: str) -> NDArray[np.int64]:
    return np.asarray(table[name].to_numpy().astype(np.int64))


def of_fastbox(found: Found, wanted: Truths) -> Ranking:
    """Rank the suspects of `fastbox suspects`; several models vote."""
    columns: dict[str, Any] = dict(zip(CORNERS, wanted.boxes.T, strict=True))
    columns |= {"image_id": wanted.images, "category_id": wanted.classes, "iscrowd": wanted.crowd}
    given: dict[str, Any] = dict(zip(CORNERS, found.boxes.T, strict=True))
    given |= {"image_id": found.images, "category_id": found.classes, "score": found.scores, "model": found.models}
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "suspects.parquet")
        jobs.suspects(pa.table(given), pa.table(columns), out, by="model", min_suspicion=0)
        table = pq.read_table(out)
    kinds, suspicion = np.array(table["kind"].to_pylist()), table["suspicion"].to_numpy()
    truth, detection, other = (table[name].fill_null(-1).to_numpy() for name in ("truth", "detection", "other"))
    order = np.argsort(-suspicion, kind="stable")
    rows = dict.fromkeys(KINDS, truth) | {"missing": detection, "duplicate": np.stack((truth, other), axis=1)}
    return {kind: rows[kind][order[kinds[order] == kind]] for kind in KINDS}


def of_hotcoco(found: Found, wanted: Truths) -> Ranking:
    """Rank the label errors of hotcoco by their scores: wrong labels and missing annotations."""
    import hotcoco

    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("truths.json", "results.json")]
        for path, content in zip(paths, (_instances(found, wanted), _results(found)), strict=True):
            Path(path).write_text(json.dumps(content))
        with silenced():
            known = hotcoco.COCO(paths[0])
            judge = hotcoco.COCOeval(known, known.load_res(paths[1]), "bbox")
            judge.evaluate()
            errors = judge.image_diagnostics(score_thr=0.3)["label_errors"]
    errors.sort(key=lambda error: -error["dt_score"])
    wrong = [error["gt_id"] - 1 for error in errors if error["type"] == "wrong_label"]
    missing = [error["dt_id"] - 1 for error in errors if error["type"] == "missing_annotation"]
    return {"wrong_class": np.array(list(dict.fromkeys(wrong)), np.int64), "missing": np.array(missing, np.int64)}


def _instances(found: Found, wanted: Truths) -> dict[str, Any]:
    images = np.union1d(found.images, wanted.images).tolist()
    kinds = np.union1d(found.classes, wanted.classes).tolist()
    return {
        "images": [{"id": image, "width": 640, "height": 640, "file_name": str(image)} for image in images],
        "categories": [{"id": kind, "name": str(kind)} for kind in kinds],
        "annotations": [
            {"id": row + 1, "image_id": image, "category_id": kind, "iscrowd": int(crowd), **_box(corners)}
            for row, (image, kind, crowd, corners) in enumerate(
                zip(wanted.images.tolist(), wanted.classes.tolist(), wanted.crowd, wanted.boxes.tolist(), strict=True)
            )
        ],
    }


def _results(found: Found) -> list[dict[str, Any]]:
    columns = found.images.tolist(), found.classes.tolist(), found.scores.tolist(), found.boxes.tolist()
    return [
        {"image_id": image, "category_id": kind, "score": score, "bbox": _box(corners)["bbox"]}
        for image, kind, score, corners in zip(*columns, strict=True)
    ]


def _box(corners: list[float]) -> dict[str, Any]:
    x, y, right, bottom = corners
    return {"bbox": [x, y, right - x, bottom - y], "area": (right - x) * (bottom - y)}


def of_objectlab(found: Found, wanted: Truths) -> Ranking:
    """Rank truths and detections by the scores of ObjectLab."""
    swapped, badly = np.zeros(len(wanted.images)), np.zeros(len(wanted.images))
    overlooked = np.full(len(found.images), np.nan)
    for image in np.union1d(found.images, wanted.images):
        own = slice(*np.searchsorted(found.images, [image, image + 1]))
        its = slice(*np.searchsorted(wanted.images, [image, image + 1]))
        sides = found.boxes[own], found.scores[own], found.classes[own], wanted.boxes[its], wanted.classes[its]
        swapped[its], badly[its], overlooked[own] = box_suspicions(*sides)
    sure = np.flatnonzero(~np.isnan(overlooked))
    ranked = {"wrong_class": (np.arange(len(swapped)), swapped), "badly_placed": (np.arange(len(badly)), badly)}
    ranked["missing"] = sure, overlooked[sure]
    return {kind: rows[np.argsort(-values, kind="stable")] for kind, (rows, values) in ranked.items()}


METHODS: dict[str, Callable[[Found, Truths], Ranking]] = {"fastbox": of_fastbox, "ObjectLab's scores": of_objectlab}
if find_spec("hotcoco") is not None:
    METHODS["hotcoco"] = of_hotcoco


def precisions(ranking: Ranking, made: Corrupted, found: Found) -> dict[str, float]:
    """Return the precision at k of each kind that is ranked."""
    many = len(made.dropped.images)
    hits = {"missing": _recovered(ranking["missing"][:many], made.dropped, found)}
    for kind in ranking.keys() - {"missing"}:
        right = np.isin(ranking[kind][:many], made.rows[kind])
        hits[kind] = int(right.reshape(len(right), -1).any(axis=1).sum())
    return {kind: count / many for kind, count in hits.items()}


def _recovered(rows: NDArray[np.int64], dropped: Truths, found: Found) -> int:
    """Count the dropped truths that a detection suggests, each once."""
    free = np.ones(len(dropped.images), np.bool_)
    for row in rows.tolist():
        same = free & (dropped.images == found.images[row]) & (dropped.classes == found.classes[row])
        near = np.flatnonzero(same)
        low = np.maximum(dropped.boxes[near, :2], found.boxes[row, :2])
        high = np.minimum(dropped.boxes[near, 2:], found.boxes[row, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (dropped.boxes[near], found.boxes[row])]
        hit = near[shared >= HIT * (areas[0] + areas[1] - shared)]
        free[hit[:1]] = False
    return int((~free).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="2,3", help="seeds of the mistakes (default: 2,3)")
    seeds = [int(seed) for seed in parser.parse_args().seeds.split(",")]
    known, found = truths(), detections()
    print(f"{'precision at k, mean over seeds ' + ', '.join(map(str, seeds)):55}", *(f"{kind:>13}" for kind in KINDS))
    models = np.unique(found.models).tolist()
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        made = corrupt(known, seed)
        for model in models:
            own = found.of_model(model)
            for name, method in METHODS.items():
                reached = precisions(method(own, made.truths), made, own)
                rows.setdefault(f"{name}, mean of {len(models)} models alone", []).append(reached)
                if model == ALONE:
                    rows.setdefault(f"{name}, one model: {model.rpartition('/')[2]}", []).append(reached)
        votes = precisions(of_fastbox(found, made.truths), made, found)
        rows.setdefault(f"fastbox, votes of {len(models)} models", []).append(votes)
    for name, parts in sorted(rows.items(), key=lambda row: row[0].partition(", ")[2]):
        shown = [
            f"{np.mean([one[kind] for one in parts]):13.3f}" if kind in parts[0] else f"{'–':>13}" for kind in KINDS
        ]
        print(f"{name:55}", *shown)


if __name__ == "__main__":
    main()
