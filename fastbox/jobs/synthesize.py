"""Synthetic ground truth and detections of any size, as realistic as COCO and the same for the same seed."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack
from statistics import NormalDist
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox.arrow.columns import batch_of
from fastbox.datasets.unlisted import record_of
from fastbox.jobs.made import EMPTY, SCORES, Detections, Images, Truths, area, draw_angles, schemas, tables
from fastbox.parallel import run
from fastbox.storage.outputs import check_outputs
from fastbox.tables.sink import Sink
from fastbox.values.arguments import checked
from fastbox.values.coco import AREA_BOUNDS, SIDE_BOUNDS
from fastbox.values.numbers import as_whole

__all__ = ["synthesize"]

StrPath: TypeAlias = str | os.PathLike[str]
Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

BLOCK = 4096
AT_ONCE = 8

# Coordinates lie on 1/64 px: exact in float32, and the last bit of an exp, which differs between processors, is rounded
# away.
GRID = 64

ID_GAP = 116
SIZES = ((640, 480), (640, 427), (640, 426), (500, 375), (612, 612), (500, 333), (640, 360), (640, 512))
SIZE_SHARES = (0.42, 0.22, 0.12, 0.10, 0.05, 0.04, 0.03, 0.02)
PORTRAIT = 0.25

# floor(log-normal) with a mean of 7.3 boxes an image and 1% of the images empty; COCO's val2017 has 7.36 and 1.0%.
COUNT_MU = 1.769
COUNT_SIGMA = 0.755

# sqrt(area) is log-normal through COCO's two quantiles: 41% of the boxes below 32² px, 24% above 96² px.
_SMALL, _LARGE = NormalDist().inv_cdf(0.41), NormalDist().inv_cdf(1 - 0.24)
SCALE_SIGMA = math.log(SIDE_BOUNDS[1] / SIDE_BOUNDS[0]) / (_LARGE - _SMALL)
SCALE_MU = math.log(SIDE_BOUNDS[0]) - _SMALL * SCALE_SIGMA

# ln(width / height) in val2017 has mean -0.13 and deviation 0.75.
ASPECT_MU = -0.13
ASPECT_SIGMA = 0.75

# Every second box is of its image's main class, so that an image has few; a power of 1.2 gives the first class 30%.
CLASSES = 80
CLASS_POWER = 1.2
MAIN_CLASS = 0.5
LARGE_CROWDS = 0.05


@checked
def synthesize(
    truths: StrPath,
    *,
    count: int,
    detections: StrPath | None = None,
    pairs: StrPath | None = None,
    seed: int = 0,
    rotated: bool = False,
) -> dict[str, int]:
    """Write synthetic boxes as Parquet, sorted by image; memory doesn't grow with their number.

    The first images of a larger data set are the smaller data set: each block of 4096 images is drawn from the seed and
    the block's number alone, and ``truths`` don't depend on what else is written.

    Parameters
    ----------
    truths : path
        image_id, category_id, xmin, ymin, xmax, ymax (float32, pixels), iscrowd, area, width, height. About 7.3 boxes
        an image; 1% of the images have none: they are in the footer, from where :func:`fastbox.convert` lists them.
        Sizes, shapes, classes and image sizes are distributed like COCO's.
    count : int
        The number of images, those without boxes included.
    detections : path, optional
        image_id, category_id, the box and score: jittered truths, duplicates and boxes on the background, by
        descending score within an image. Small truths are missed more; the score follows the IoU with the truth.
    pairs : path, optional
        The detections that come from a truth, each beside it: image_id, the truth's category_id, pred_xmin to
        pred_ymax, target_xmin to target_ymax, score.
    seed : int
        Not negative; another seed gives another data set.
    rotated : bool
        Turn the same boxes about their centres: cx, cy, w, h, angle in degrees (``cxcywhd``) instead of the corners.
        The detections of a truth are some degrees off.

    Returns
    -------
    dict
        The images and the rows of each table written.

    Raises
    ------
    ValueError
        A negative or fractional count or seed.
    InputError
        One path given twice, or a name that promises another format than Parquet.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> synthesize(pathlib.Path(tempfile.mkdtemp()) / "truths.parquet", count=0)
    {'images': 0, 'truths': 0}
    """
    count = as_whole(count, "count")
    seed = as_whole(seed, "seed")
    wanted = {"truths": truths, "detections": detections, "pairs": pairs}
    paths = {name: path for name, path in wanted.items() if path is not None}
    check_outputs([], paths)

    wanted_schemas = {name: schema for name, schema in schemas(rotated).items() if name in paths}
    parameters = {"count": count, "seed": seed} | ({"rotated": True} if rotated else {})
    with ExitStack() as stack:
        sinks = {
            name: stack.enter_context(
                Sink(paths[name], schema, command="synthesize", parameters=parameters | {"table": name})
            )
            for name, schema in wanted_schemas.items()
        }
        empty = [np.empty((3, 0), np.int64)]
        for first in range(0, count, AT_ONCE * BLOCK):
            starts = range(first, min(first + AT_ONCE * BLOCK, count), BLOCK)
            drawn = run(_draw_tables, [(seed, start, count - start, len(paths) > 1, rotated) for start in starts])
            run(_write, [(sink, [made[name] for made in drawn]) for name, sink in sinks.items()])
            empty += [np.stack(made[EMPTY]) for made in drawn]
        sinks["truths"].record(**record_of(np.concatenate(empty, axis=1)))
        written = {name: sink.rows for name, sink in sinks.items()}
    return {"images": count, **written}


def _write(sink: Sink, blocks: list[list[NDArray[Any]]]) -> None:
    for columns in blocks:
        sink.write(batch_of(columns, sink.schema))


def _draw_tables(seed: int, first: int, images: int, detect: bool, rotated: bool) -> dict[str, list[NDArray[Any]]]:
    """Draw the whole block that begins at image ``first``, and return the tables of its first images."""
    block = first // BLOCK
    rng = _generator(seed, block)
    frames = _draw_images(rng, first)
    truths = _draw_truths(rng, frames)
    found = _draw_detections(rng, frames, truths) if detect else None
    if rotated:
        truths, found = draw_angles(_generator(seed, block, 1), truths, found)
    return tables(frames, truths, found, images)


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _draw_images(rng: np.random.Generator, first: int) -> Images:
    numbers = np.arange(first, first + BLOCK)
    long, short = np.array(SIZES).T[:, _choose(rng, np.array(SIZE_SHARES), BLOCK)]
    portrait = rng.random(BLOCK) < PORTRAIT
    return Images(
        id=numbers * ID_GAP + rng.integers(1, ID_GAP + 1, BLOCK),
        width=np.where(portrait, short, long),
        height=np.where(portrait, long, short),
    )


def _draw_truths(rng: np.random.Generator, frames: Images) -> Truths:
    counts = np.exp(COUNT_MU + COUNT_SIGMA * rng.standard_normal(BLOCK)).astype(np.int64)
    image = np.repeat(np.arange(BLOCK), counts)
    main = _draw_classes(rng, BLOCK)
    category = np.where(rng.random(len(image)) < MAIN_CLASS, main[image], _draw_classes(rng, len(image)))
    corners = _draw_boxes(rng, frames, image)
    large = area(corners) > AREA_BOUNDS[1]
    return Truths(image, category, corners, crowd=large & (rng.random(len(image)) < LARGE_CROWDS))


def _draw_boxes(rng: np.random.Generator, frames: Images, image: Ints) -> Floats:
    """Draw one box in each of the images: log-normal in size and shape, cut to the image, anywhere in it."""
    scale = np.exp(SCALE_MU + SCALE_SIGMA * rng.standard_normal(len(image)))
    stretch = np.exp((ASPECT_MU + ASPECT_SIGMA * rng.standard_normal(len(image))) / 2)
    width, height = frames.width[image], frames.height[image]
    w = np.clip(_on_grid(scale * stretch), 1, width)
    h = np.clip(_on_grid(scale / stretch), 1, height)
    xmin = np.floor(rng.random(len(image)) * (width - w) * GRID) / GRID
    ymin = np.floor(rng.random(len(image)) * (height - h) * GRID) / GRID
    return np.stack([xmin, ymin, xmin + w, ymin + h])


def _draw_detections(rng: np.random.Generator, frames: Images, truths: Truths) -> Detections:
    truth, copy = _draw_found(rng, truths.corners)
    seen = truths.corners.take(truth, axis=1)
    jittered = _jitter(rng, frames, truths.image[truth], seen, copy)
    overlap = _iou(jittered, seen)
    right = rng.random(len(truth)) < 0.6 + 0.4 * overlap
    category = np.where(right, truths.category[truth], _draw_classes(rng, len(truth)))
    score = _squash(6 * (overlap - 0.75) + 0.9 * rng.standard_normal(len(truth)))

    background = np.repeat(np.arange(BLOCK), np.floor(4 * -np.log1p(-rng.random(BLOCK))).astype(np.int64))
    invented = _draw_boxes(rng, frames, background)
    low = _squash(-2.5 + rng.standard_normal(len(background)))

    image = np.concatenate([truths.image[truth], background])
    score = np.concatenate([score, low])
    order = np.argsort(image * (SCORES + 1) - score, kind="stable")
    return Detections(
        image[order],
        np.concatenate([category, _draw_classes(rng, len(background))])[order],
        np.concatenate([jittered, invented], axis=1).take(order, axis=1),
        score[order],
        np.concatenate([truth, np.full(len(background), -1)])[order],
    )


def _draw_found(rng: np.random.Generator, corners: Floats) -> tuple[Ints, Ints]:
    """Return the truths that are detected, as often as they are, and the number of each copy: 0, 1 or 2."""
    scale = np.sqrt(area(corners))
    found = rng.random(len(scale)) < 1 / (1 + (32 / scale) / math.exp(0.9))
    chance = rng.random(len(scale))
    copies = found * (1 + (chance < 0.2) + (chance < 0.04))
    truth = np.repeat(np.arange(len(scale)), copies)
    return truth, np.arange(len(truth)) - np.repeat(np.cumsum(copies) - copies, copies)


def _jitter(rng: np.random.Generator, frames: Images, image: Ints, corners: Floats, copy: Ints) -> Floats:
    """Move and stretch boxes by a share of their size that differs from box to box and is larger for later copies."""
    spread = np.minimum(np.exp(-2.9 + 0.7 * rng.standard_normal(len(image)) + 0.6 * copy), 0.5)
    sides = []
    for low, high, limit in ((0, 2, frames.width[image]), (1, 3, frames.height[image])):
        length = corners[high] - corners[low]
        centre = (corners[high] + corners[low]) / 2 + spread * length * rng.standard_normal(len(image))
        half = length / 2 * np.exp(spread * rng.standard_normal(len(image)))
        start = np.clip(_on_grid(centre - half), 0, limit - 1)
        sides.append((start, np.clip(_on_grid(centre + half), start + 1, limit)))
    (xmin, xmax), (ymin, ymax) = sides
    return np.stack([xmin, ymin, xmax, ymax])


def _draw_classes(rng: np.random.Generator, n: int) -> Ints:
    return 1 + _choose(rng, np.arange(1.0, CLASSES + 1) ** -CLASS_POWER, n)


def _choose(rng: np.random.Generator, shares: Floats, n: int) -> Ints:
    """Draw n indices in proportion to their shares."""
    upper = np.cumsum(shares)
    return np.searchsorted(upper[:-1] / upper[-1], rng.random(n), side="right")


def _on_grid(pixels: Floats) -> Floats:
    return np.rint(pixels * GRID) / GRID


def _squash(logit: Floats) -> Ints:
    """Return a score for each logit, in steps of 1 / SCORES above 0."""
    return np.clip(np.rint(SCORES / (1 + np.exp(-logit))), 1, SCORES).astype(np.int64)


def _iou(a: Floats, b: Floats) -> Floats:
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    overlap: Floats = inter / (area(a) + area(b) - inter)
    return overlap
