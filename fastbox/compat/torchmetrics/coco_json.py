"""The batches of a metric as COCO JSON, and COCO JSON as batches."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fastbox.compat.torchmetrics.figures import Found, Wanted
from fastbox.errors import InputError
from fastbox.values.groups import groups_of_rows

__all__ = ["read", "write"]

Batch = list[dict[str, torch.Tensor]]


def write(found: Found, wanted: Wanted, name: str) -> None:
    """Write the detections to ``NAME_preds.json`` and the truths to ``NAME_target.json``."""
    areas = wanted.boxes[:, 2] * wanted.boxes[:, 3]
    columns = {"area": np.where(wanted.areas > 0, wanted.areas, areas), "iscrowd": wanted.crowd.astype(np.int64)}
    target = {
        "images": [{"id": image} for image in range(len(wanted.offsets) - 1)],
        "annotations": _annotations(wanted, columns),
        "categories": [
            {"id": int(label), "name": str(int(label))}
            for label in np.unique(np.concatenate((found.labels, wanted.labels)))
        ],
        "info": {},
    }
    preds = _annotations(found, {"area": found.boxes[:, 2] * found.boxes[:, 3], "score": found.scores})
    for path, content in ((f"{name}_preds.json", preds), (f"{name}_target.json", target)):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=4)


def read(preds: str | os.PathLike[str], target: str | os.PathLike[str]) -> tuple[Batch, Batch]:
    """Read the images that have truths, in the order of their first truths; boxes stay x, y, width and height.

    Raises
    ------
    InputError
        A file that is not COCO JSON.
    """
    truths, found = _load(target, "annotations"), _load(preds, None)
    images: dict[Any, tuple[list[Any], list[Any]]] = {truth["image_id"]: ([], []) for truth in truths}
    for truth in truths:
        images[truth["image_id"]][1].append(truth)
    for one in found:
        if one["image_id"] in images:
            images[one["image_id"]][0].append(one)
    columns = {"labels": ("category_id", torch.int32), "boxes": ("bbox", torch.float32)}
    scored = columns | {"scores": ("score", torch.float32)}
    drawn = columns | {"iscrowd": ("iscrowd", torch.int32), "area": ("area", torch.float32)}
    sides = images.values()
    return [_item(own, scored) for own, _ in sides], [_item(its, drawn) for _, its in sides]


def _annotations(side: Found | Wanted, columns: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    columns = {"image_id": groups_of_rows(side.offsets), "category_id": side.labels.astype(np.int64), **columns}
    rows = zip(side.boxes.tolist(), *(column.tolist() for column in columns.values()), strict=True)
    return [
        {"id": row, "bbox": box, "iscrowd": 0, **dict(zip(columns, values, strict=True))}
        for row, (box, *values) in enumerate(rows, 1)
    ]


def _item(rows: list[Any], columns: Mapping[str, tuple[str, torch.dtype]]) -> dict[str, torch.Tensor]:
    """Return the tensors of an image; flags and areas that are left out are 0."""
    return {
        name: torch.tensor([row[key] if key in ("bbox", "category_id", "score") else row.get(key, 0) for row in rows])
        .to(dtype)
        .reshape((-1, 4) if name == "boxes" else (-1,))
        for name, (key, dtype) in columns.items()
    }


def _load(path: str | os.PathLike[str], key: str | None) -> list[Any]:
    with open(path, encoding="utf-8") as file:
        try:
            content = json.load(file)
            rows = content if key is None else content[key]
            if isinstance(rows, list) and all(
                {"image_id", "category_id", "bbox", *([] if key else ["score"])} <= row.keys() for row in rows
            ):
                return rows
        except (ValueError, LookupError, TypeError, AttributeError):
            pass
    kind = "truths, an object with annotations" if key else "detections, a list of annotations with scores"
    raise InputError(f"expected COCO JSON of {kind}, got {os.fspath(path)}: give a file of this kind")
