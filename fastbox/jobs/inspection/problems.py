"""The problems that a box can have by itself, by code and severity, and the table of problems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.arrow import columns
from fastbox.boxes.found import outline
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.jobs.inspection.turned import problems_of
from fastbox.jobs.inspection.view import View
from fastbox.values.arguments import check_types
from fastbox.values.formats import COORDINATES

__all__ = ["CODES", "CORNERS", "SEVERITIES", "Finding", "Limits", "Problems", "alone", "of_images"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Error: the box is invalid, duplicated, or has no image or class. Warning: most often a mistake. Note: to be checked.
SEVERITIES = {
    "angle_beyond_turn": "note",
    "angle_too_large": "error",
    "class_size": "note",
    "degrees_as_radians": "warning",
    "duplicate": "error",
    "edges_cross": "error",
    "extreme_aspect": "warning",
    "huge": "note",
    "inverted": "error",
    "near_duplicate": "warning",
    "near_duplicate_other_class": "warning",
    "no_boxes": "note",
    "no_class": "error",
    "no_image": "error",
    "non_finite": "error",
    "not_a_rectangle": "note",
    "out_of_image": "warning",
    "repeated_corner": "warning",
    "repeated_id": "error",
    "sub_pixel": "warning",
    "whole_image": "note",
    "zero_side": "error",
}
CODES = tuple(SEVERITIES)  # in the order of the alphabet, that of the table
CORNERS = COORDINATES["xyxy"]
EXAMPLES = 12


@dataclass(frozen=True)
class Limits:
    """The limits beyond which a box has a problem.

    Attributes
    ----------
    tolerance : float
        The number of pixels that a box may reach outside of its image: rounding to pixels moves a side by 0.5.
    sub_pixel : float
        A shorter side below this many pixels is ``sub_pixel``.
    max_aspect : float
        The longer side over the shorter one, above which a box is ``extreme_aspect``: YOLO's augmentation drops boxes
        from 100 on.
    near : float
        The least IoU of near-duplicates.
    huge : float
        The share of its image above which a box is ``huge``.
    class_size : float or None
        The number of robust deviations between the side of a square as large as the box and the median of its class;
        None omits the check, and a pass over the table.

    Raises
    ------
    ValueError
        An invalid limit.
    """

    tolerance: float = 0.5
    sub_pixel: float = 1.0
    max_aspect: float = 100.0
    near: float = 0.95
    huge: float = 0.95
    class_size: float | None = 4.0

    def __post_init__(self) -> None:
        check_types(type(self), vars(self))
        bounds = {"max_aspect": (1.0, np.inf), "near": (0.0, 1.0), "huge": (0.0, 1.0)}
        for entry in fields(self):
            value, (low, high) = getattr(self, entry.name), bounds.get(entry.name, (0.0, np.inf))
            positive = entry.name in ("near", "class_size")
            if value is not None and not (low <= value <= high and (value > 0 or not positive)):
                least = "above 0" if positive else f"{low:g} or more"
                most = f" and at most {high:g}" if high < np.inf else ""
                raise ValueError(f"expected {entry.name} to be {least}{most}, got {value!r}")


class Finding(NamedTuple):
    """Rows of a chunk with one problem: the measured values, nan for none, and the other boxes, -1 for none.

    ``others`` are numbers in the whole table. With ``images`` the rows are images of the chunk.
    """

    code: str
    rows: Ints
    values: Floats
    others: Ints
    images: bool = False


def alone(view: View, limits: Limits) -> list[Finding]:
    """Find the problems of single boxes."""
    found = [
        _finding("no_class", view.codes < 0),
        _finding("no_image", view.times[view.image] == 0),
        _finding("non_finite", view.reasons == 1),
    ]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        shorter, longer = np.minimum(view.w, view.h), np.maximum(view.w, view.h)
        found.append(_finding("inverted", view.reasons == 2, shorter))
        valid, sides = view.valid, shorter > 0
        found.append(_finding("zero_side", valid & ~sides, shorter))
        sides &= valid
        found.append(_finding("sub_pixel", sides & (shorter < limits.sub_pixel), shorter))
        found.append(_finding("extreme_aspect", sides & (longer > limits.max_aspect * shorter), longer / shorter))
        outside = outside_of(view)
        found.append(_finding("out_of_image", valid & (outside > limits.tolerance), outside))
        share = (view.w / view.across) * (view.h / view.down)
        whole = sides & (gap_of(view) <= limits.tolerance)
        found.append(_finding("whole_image", whole, share))
        found.append(_finding("huge", sides & ~whole & (share > limits.huge), share))
    turned = problems_of(view.boxes) if isinstance(view.boxes, RotatedBoxes) else {}
    return [*found, *(_finding(code, mask, values) for code, (mask, values) in turned.items())]


def of_images(view: View, listed: bool) -> list[Finding]:
    """Find the problems of images: images without boxes, and images that are ``listed`` more than once."""
    found = [_finding("no_boxes", view.counts == 0)._replace(images=True)]
    if listed:
        found.append(_finding("repeated_id", view.times > 1, view.times.astype(np.float64))._replace(images=True))
    return found


def outside_of(view: View) -> Floats:
    """Return the largest distance in pixels by which each box is outside of its image; nan without the image's size."""
    return np.maximum(np.maximum(-view.x0, -view.y0), np.maximum(view.x1 - view.across, view.y1 - view.down))


def gap_of(view: View) -> Floats:
    """Return the largest distance of a side of each box from the same side of its image."""
    return np.maximum(np.maximum(view.x0, view.y0), np.maximum(view.across - view.x1, view.down - view.y1))


def _finding(code: str, where: NDArray[np.bool_], values: Floats | None = None) -> Finding:
    rows = np.flatnonzero(where)
    measured = np.full(len(rows), np.nan) if values is None else values[rows]
    return Finding(code, rows, measured, np.full(len(rows), -1))


@dataclass
class Problems:
    """The number of problems of each code, and examples.

    Attributes
    ----------
    counts : dict of str to int
    examples : dict of str to list
        The first twelve of each code: image_id, row, id, class, value, box, other, other_id, other_class and other_box
        (of another box in the same image), image_size.
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __add__(self, later: Problems) -> Problems:
        """Return the problems of both parts, in order."""
        both = Problems()
        for code in sorted({*self.counts, *later.counts}):
            both.counts[code] = self.counts.get(code, 0) + later.counts.get(code, 0)
            both.examples[code] = [*self.examples.get(code, ()), *later.examples.get(code, ())][:EXAMPLES]
        return both

    def add(self, view: View, found: Iterable[Finding], schema: Any) -> Any:
        """Add the problems of a chunk; return them as rows of the table, in order."""
        listed = [entry for entry in found if len(entry.rows)]
        sizes = [len(entry.rows) for entry in listed]
        codes = np.repeat(np.array([CODES.index(entry.code) for entry in listed], np.int64), sizes)
        whole = np.repeat(np.array([entry.images for entry in listed], np.bool_), sizes)
        rows, values, others = (
            np.concatenate([np.empty(0, dtype), *(getattr(entry, name) for entry in listed)])
            for name, dtype in (("rows", np.int64), ("values", np.float64), ("others", np.int64))
        )
        image = rows.copy()
        image[~whole] = view.image[rows[~whole]]
        rows[whole] = -1
        order = np.lexsort((codes, rows, image))
        codes, image, rows, values, others = (column[order] for column in (codes, image, rows, values, others))
        for code in np.flatnonzero(np.bincount(codes)).tolist():
            these = np.flatnonzero(codes == code)
            self.counts[CODES[code]] = self.counts.get(CODES[code], 0) + len(these)
            kept = self.examples.setdefault(CODES[code], [])
            kept += [
                _example(view, int(image[k]), int(rows[k]), float(values[k]), int(others[k]))
                for k in these[: EXAMPLES - len(kept)].tolist()
            ]
        corners = np.zeros((4, len(rows)))
        corners[:, rows >= 0] = np.stack([view.x0, view.y0, view.x1, view.y1])[:, rows[rows >= 0]]
        made = [
            view.ids[image],
            np.ma.masked_array(view.given_rows(np.where(rows < 0, -1, rows + view.first_row)), mask=rows < 0),
            np.array(CODES, dtype=object)[codes],
            np.array(list(SEVERITIES.values()), dtype=object)[codes],
            np.ma.masked_array(view.given_rows(others), mask=others < 0),
            np.ma.masked_array(values, mask=np.isnan(values)),
            *(np.ma.masked_array(side, mask=rows < 0) for side in corners),
        ]
        batch = columns.batch_of(made, columns.schema_of({}, list(schema)[: len(made)]))
        if len(made) == len(schema):
            return batch
        own = columns.taken(view.box_ids, np.ma.masked_array(rows, mask=rows < 0))
        return columns.joined(batch, own)


def _example(view: View, image: int, row: int, value: float, other: int) -> dict[str, Any]:
    """Return a problem as JSON holds it; row -1 is a problem of the image, other -1 means no other box."""
    size = [float(side[image]) for side in view.frames]
    other_place = other - view.first_row
    # A box of another image may be in another chunk: then only its row is known.
    here = other >= 0 and 0 <= other_place < len(view.image) and view.image[other_place] == image
    return {
        "image_id": view.ids[image : image + 1].tolist()[0],
        "row": int(view.given_rows(np.array([row + view.first_row]))[0]) if row >= 0 else None,
        "id": _id(view, row) if row >= 0 else None,
        "value": _finite(value),
        "class": _label(view, row) if row >= 0 else None,
        "box": _corners(view, row) if row >= 0 else None,
        "outline": _outline(view, row) if row >= 0 else None,
        "other": int(view.given_rows(np.array([other]))[0]) if other >= 0 else None,
        "other_id": _id(view, other_place) if here else None,
        "other_class": _label(view, other_place) if here else None,
        "other_box": _corners(view, other_place) if here else None,
        "other_outline": _outline(view, other_place) if here else None,
        "image_size": size if np.isfinite(size).all() else None,
    }


def _id(view: View, row: int) -> Any:
    return None if view.box_ids is None else view.box_ids.column("id")[row].as_py()


def _label(view: View, row: int) -> Any:
    return view.labels[view.codes[row]] if view.codes[row] >= 0 else None


def _corners(view: View, row: int) -> list[float | None]:
    return [_finite(side[row]) for side in (view.x0, view.y0, view.x1, view.y1)]


def _outline(view: View, row: int) -> list[float | None] | None:
    own = outline(view.boxes[row : row + 1].astype(np.float64))
    return None if own is None else [_finite(number) for number in own[0]]


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
