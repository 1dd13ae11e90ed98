"""The tables that ``synthesize`` writes: their columns, of plain boxes or of boxes turned by an angle each."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.arrow.columns import schema_of
from fastbox.arrow.turned import coordinate_names, metadata_of
from fastbox.values.formats import COORDINATES

__all__ = ["CORNERS", "EMPTY", "SCORES", "Detections", "Images", "Truths", "area", "draw_angles", "schemas", "tables"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

# Angles lie on 1/64 degree and scores on 1/4096: exact in float32.
ANGLES = 64
SCORES = 4096

TURNED = "cxcywhd"
SPREAD = 3.0  # degrees between a detection and its truth, a deviation

CORNERS = COORDINATES["xyxy"]
EMPTY = "images without truths"


class Images(NamedTuple):
    """The images of a block, one row each."""

    id: Ints
    width: Ints
    height: Ints


class Truths(NamedTuple):
    """The ground truth of a block: image is the row of its image in the block, corners are xyxy of shape (4, n)."""

    image: Ints
    category: Ints
    corners: Floats
    crowd: NDArray[np.bool_]
    angle: Floats | None = None


class Detections(NamedTuple):
    """The detections of a block by image and descending score; truth is the row each was jittered from, or -1."""

    image: Ints
    category: Ints
    corners: Floats
    score: Ints
    truth: Ints
    angle: Floats | None = None


def draw_angles(rng: np.random.Generator, truths: Truths, found: Detections | None) -> tuple[Truths, Detections | None]:
    """Turn the boxes of a block about their centres: truths by any angle, their detections by almost the same."""
    angle = _drawn(rng, len(truths.image))
    truths = truths._replace(angle=angle)
    if found is None:
        return truths, None
    own = found.truth >= 0
    turned = _drawn(rng, len(own))
    missed = np.rint(SPREAD * ANGLES * rng.standard_normal(len(own))) / ANGLES
    turned[own] = angle[found.truth[own]] + missed[own]
    return truths, found._replace(angle=turned)


def _drawn(rng: np.random.Generator, n: int) -> Floats:
    return rng.integers(-90 * ANGLES, 90 * ANGLES, n) / ANGLES


def schemas(rotated: bool) -> dict[str, Any]:
    """Return the Arrow schema of each table by its name."""
    ids = {"image_id": "int64", "category_id": "int32"}
    names = coordinate_names(TURNED) if rotated else CORNERS
    box = dict.fromkeys(names, "float32")
    both = dict.fromkeys([f"{side}_{name}" for side in ("pred", "target") for name in names], "float32")
    size = {"iscrowd": "int8", "area": "float32", "width": "int32", "height": "int32"}
    types = {
        "truths": (ids | box | size, ("",)),
        "detections": (ids | box | {"score": "float32"}, ("",)),
        "pairs": (ids | both | {"score": "float32"}, ("pred_", "target_")),
    }
    return {
        name: schema_of(own).with_metadata(metadata_of(**dict.fromkeys(sides if rotated else (), TURNED)) or None)
        for name, (own, sides) in types.items()
    }


def tables(frames: Images, truths: Truths, found: Detections | None, images: int) -> dict[str, list[NDArray[Any]]]:
    """Return the columns of each table for the first images of a block, and the facts of those without truths."""
    made = {"truths": _truth_columns(frames, truths)}
    image = {"truths": truths.image}
    if found is not None:
        matched = found.truth >= 0
        made["detections"] = _detection_columns(frames, found)
        made["pairs"] = _pair_columns(frames, truths, found, matched)
        image |= {"detections": found.image, "pairs": found.image[matched]}
    rows = {name: np.searchsorted(image[name], images) for name in made}
    cut = {name: [column[: rows[name]] for column in columns] for name, columns in made.items()}
    empty = np.setdiff1d(np.arange(min(images, len(frames.id))), truths.image)
    return cut | {EMPTY: [facts[empty] for facts in frames]}


def area(corners: Floats) -> Floats:
    """Return the areas of boxes given as corners of shape (4, n)."""
    xmin, ymin, xmax, ymax = corners
    found: Floats = (xmax - xmin) * (ymax - ymin)
    return found


def _box(corners: Floats, angle: Floats | None) -> list[Floats]:
    if angle is None:
        return [*corners]
    xmin, ymin, xmax, ymax = corners
    return [(xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin, angle]


def _truth_columns(frames: Images, truths: Truths) -> list[NDArray[Any]]:
    return [
        frames.id[truths.image],
        truths.category,
        *_box(truths.corners, truths.angle),
        truths.crowd,
        area(truths.corners),
        frames.width[truths.image],
        frames.height[truths.image],
    ]


def _detection_columns(frames: Images, found: Detections) -> list[NDArray[Any]]:
    return [frames.id[found.image], found.category, *_box(found.corners, found.angle), found.score / SCORES]


def _pair_columns(frames: Images, truths: Truths, found: Detections, matched: NDArray[np.bool_]) -> list[NDArray[Any]]:
    truth = found.truth[matched]
    pred, target = _box(found.corners, found.angle), _box(truths.corners, truths.angle)
    return [
        frames.id[truths.image[truth]],
        truths.category[truth],
        *(column[matched] for column in pred),
        *(column[truth] for column in target),
        found.score[matched] / SCORES,
    ]
