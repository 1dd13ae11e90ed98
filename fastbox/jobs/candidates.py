"""Count the candidate points of truths, for several detectors without anchors and several inputs side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.anchors import AnchorGrid, PointGrid
from fastbox.anchors.resize import Resize
from fastbox.arrow import columns
from fastbox.assign.candidates import candidates as count_candidates
from fastbox.assign.match import match
from fastbox.assign.point_rule import PointRule
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError, advice
from fastbox.jobs.assign import threads_for
from fastbox.jobs.base import job
from fastbox.jobs.checks import check_flags, check_images, check_labels, check_numbers
from fastbox.jobs.letterboxed import Letterboxed
from fastbox.jobs.output import Output
from fastbox.jobs.settings import Inputs, Setting, settings_of
from fastbox.jobs.starved import Starved, starved_schema, starved_table
from fastbox.parallel import compile_together, threads_here
from fastbox.result import Invalid, Result, Row, Rules
from fastbox.results.point_counts import PointCounts, Seen
from fastbox.results.point_examples import Drawn, PointExamples
from fastbox.storage.locate import find_files
from fastbox.tables.chunk import Chunk
from fastbox.tables.files import column_names
from fastbox.tables.source import Plan, Source, plan
from fastbox.tables.stream import scan
from fastbox.values.groups import values_of_rows
from fastbox.values.names import SIZE_COLUMNS
from fastbox.values.numbers import as_number_from

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["CandidateCounts", "candidates", "check_truths", "size_columns"]

COVERED = 0.5  # the best IoU from which on anchors cover a truth


@dataclass(repr=False)
class CandidateCounts(Result):
    """The result of :func:`candidates`.

    Attributes
    ----------
    images, truths, regions : int
        The number of images in the table, of truths and of regions to ignore.
    invalid : Invalid
        Invalid truths by reason; they are in no other count.
    rules : Rules
        The reach, the padding, and the columns of classes and regions.
    settings : dict of str to PointCounts
        The truths by preset and input.
    examples : PointExamples, optional
        Truths to draw, if a report was requested.
    """

    MAIN = "settings"
    TABLES = ("settings",)
    APART = ("by_size", "by_class", "by_side", "by_level")

    images: int = 0
    truths: int = 0
    regions: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    rules: Rules = field(default_factory=Rules)
    settings: dict[str, PointCounts] = field(default_factory=dict)
    examples: PointExamples | None = field(default=None, repr=False, compare=False, kw_only=True)

    def _first(self, summary: Row) -> dict[str, Any]:
        starved = {f"starved, {key}": found.all.starved for key, found in list(self.settings.items())[:3]}
        return {**starved, "truths": self.truths, "images": self.images}

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.starved import starved_page

        return starved_page(self.to_dict(), self.examples)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "images": self.images,
            "truths": self.truths,
            "ignore_regions": self.regions,
            "invalid": {"truths": self.invalid.to_dict()},
            "rules": self.rules.to_dict(),
            "settings": [found.to_dict() for found in self.settings.values()],
            **self.notes_on_inputs(),
        }


@job("truths", adds_up=True)
def candidates(
    truths: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    points: Sequence[str],
    sizes: Sequence[int | str] = (),
    resize: Resize | float | str | None = None,
    pad: str | None = None,
    rule: PointRule | str | None = None,
    compared: Sequence[str] = (),
    reach: float = 0.0,
    ignore_column: str | None = None,
    class_column: str | None = None,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> CandidateCounts:
    """Count the points that each truth could have, for several detectors without anchors and several inputs.

    A truth without candidates is starved: TAL and FCOS train it as background. The output has a row for each truth and
    setting where the truth is starved or, with ``reach``, where no candidate reaches all its sides: ``points``,
    ``size``, ``image_id``, ``row`` (of the table, from 0), ``class``, ``reason``, ``width`` and ``height`` as the
    network sees the truth, ``candidates``, ``shared``, and the point nearest to its centre: ``level``, ``point`` (its
    number in the image), ``x``, ``y`` and ``distance``.

    Parameters
    ----------
    truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
        With columns ``width`` and ``height``, the size of the image in pixels, in each row.
    out : path, optional
        The file of the truths that can't be learnt; by default they are only counted.
    points : sequence of str
        Presets of points, such as "yolov8"; "yolov8:4+8+16" has other strides.
    sizes : sequence of int or str
        Inputs of the networks in pixels, such as 640 or "640x480", in which images are placed without distortion. By
        default each detector's own: 640, of P6 models 1280, of FCOS and TOOD "shorter=800,longer=1333".
    resize : Resize, float or str, optional
        A rule that resizes images, instead of sizes; the input is then padded to a multiple of 32.
    pad : str, optional
        The padding: "center", "corner" (right and below), "stretch" (images are stretched instead), or "none" (boxes
        are in pixels of the input already). By default as each detector does.
    rule : PointRule or str, optional
        A rule for points instead of those of the presets.
    compared : sequence of str
        Presets of anchors to compare with: their truths count as starved if no anchor has an IoU of at least 0.50.
    reach : float
        The number of strides that a point may predict: 15 with 16 bins of distribution focal loss. 0: no limit. Only
        detectors that predict such distributions (YOLOv8 to YOLO12, YOLOv10, PP-YOLOE) have one.
    ignore_column, class_column, report, pictures, rows, progress
        As for :func:`fastbox.jobs.assign`.

    Raises
    ------
    InputError
        A file or column that can't be used, an invalid image size, no presets, or one twice.
    ValueError
        An unknown preset or rule, or a size that can't be read.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "truths.parquet")
    >>> columns = {"bbox": [[13.0, 13, 15, 15], [100.0, 80, 180, 200]], "width": [640] * 2, "height": [640] * 2}
    >>> pq.write_table(pa.table({"image_id": [1, 1], **columns}), path)
    >>> found = candidates(path, points=["tal-8.3", "yolov8"], sizes=[640])
    >>> [(key, row.all.starved) for key, row in found.settings.items()]
    [('tal-8.3 640', 1), ('yolov8 640', 0)]
    """
    settings = settings_of(points, compared, Inputs(sizes, resize, pad), rule)
    far = as_number_from(reach, "reach", 0)
    sized = any(setting.letterbox.pad != "none" for setting in settings)
    source = Source.carrying(truths, *(size_columns(truths) if sized else ()), ignore_column, class_column)
    found_plan = check_truths(plan(source), sized, ignore_column, class_column)
    compile_together([("assign.points", name, found_plan.dtype, "") for name in ("COUNT", "SHARE")])
    found = CandidateCounts(rules=_rules(settings, far, ignore_column, class_column))
    found.settings = {setting.key: _counts_of(setting, far) for setting in settings}
    if report is not None:
        found.examples = PointExamples()
    parameters = {"truths": found_plan.files, "points": points, "sizes": [setting.key for setting in settings]}
    schema = starved_schema(found_plan, class_column)
    with Output(out, schema, command="assign", parameters=parameters, progress=progress) as output:
        for chunk in scan(source, rows=rows):
            seen = Letterboxed(chunk, ignore_column, sized=sized)
            classes = _classes(chunk, class_column)
            _count(found, seen)
            parts = [_add(found, chunk, seen, setting, far, classes) for setting in settings]
            output.write(_batch, chunk, [part for part in parts if part is not None], classes, schema)
            output.step(len(chunk.a))
        output.finish(found)
    return found


def size_columns(truths: Source) -> tuple[str, ...]:
    """Return the columns of the images' sizes; refuses a table without them."""
    missing = [side for side in SIZE_COLUMNS if side not in column_names(truths.path)]
    if missing:
        how = advice("--pad none", 'pad="none"')
        raise InputError(
            f"expected columns width and height, the images' sizes, in {find_files(truths.path)[0]}, got no "
            f"{' and no '.join(missing)}: add them, or give {how} if boxes are in pixels of the network's input already"
        )
    return SIZE_COLUMNS


def check_truths(planned: Plan, sized: bool, ignore_column: str | None, class_column: str | None) -> Plan:
    """Refuse a table without image ids, and columns that can't be sizes, flags or labels."""
    check_images([planned], "points are counted")
    for name in SIZE_COLUMNS if sized else ():
        if name in planned.boxes.names:
            raise InputError(
                f"expected the images' sizes in columns width and height of {planned.files[0]}, got {name!r} of the "
                "boxes: call the boxes' columns w and h, and add the images' sizes"
            )
    check_numbers(planned, *(SIZE_COLUMNS if sized else ()))
    check_flags(planned, ignore_column)
    check_labels(planned, class_column)
    return planned


def _rules(settings: Sequence[Setting], reach: float, ignore_column: str | None, class_column: str | None) -> Rules:
    pads = {setting.name: setting.letterbox.pad for setting in settings}
    return Rules({"reach": reach, "pad": pads, "ignore_column": ignore_column, "class_column": class_column})


def _counts_of(setting: Setting, reach: float) -> PointCounts:
    rule = f"IoU ≥ {COVERED:.2f}" if setting.rule is None else setting.rule.name
    far = float(reach) if setting.reaches else 0.0
    names = setting.name, rule, setting.letterbox.label
    return PointCounts(*names, setting.grid.strides, setting.rule is not None, far)


def _classes(chunk: Chunk, class_column: str | None) -> tuple[NDArray[np.int64], list[Any]] | None:
    """Return the class of each row of the chunk, as codes and labels."""
    if class_column is None:
        return None
    (codes,), labels = columns.label_columns((chunk.a_columns, chunk.a_rows), name=class_column)
    return codes, labels


def _count(found: CandidateCounts, seen: Letterboxed) -> None:
    found.images += len(seen.given)
    found.truths += len(seen.truths)
    found.regions += seen.regions
    found.invalid.add(seen.truths.invalid())


def _add(
    found: CandidateCounts,
    chunk: Chunk,
    seen: Letterboxed,
    setting: Setting,
    reach: float,
    classes: tuple[NDArray[np.int64], list[Any]] | None,
) -> Starved | None:
    """Count the valid truths of a chunk by one setting; return those that can't be learnt from points."""
    truths, placed = seen.seen(setting.letterbox)
    valid = seen.truths.invalid() == 0
    levels, shared, unreached = _of_points(setting, truths, placed.sizes, reach)
    corners, own = truths.corners()[valid], seen.truths.corners()[valid].astype(np.float64)
    area, sides = (own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]), corners[:, 2:] - corners[:, :2]
    unreached = None if unreached is None else unreached[valid]
    these = Seen(levels[valid], shared[valid], unreached, area, sides.min(axis=1))
    counts = found.settings[setting.key]
    rows, image = seen.rows[valid], seen.image[valid]
    codes, labels = (None, []) if classes is None else (classes[0][rows], classes[1])
    counts.add(these, codes, labels)
    counts.starved_images += len(np.unique(image[these.totals == 0]))
    if setting.rule is None:
        return None
    starved = Starved.of(setting, these, rows, corners, placed.sizes[image])
    if found.examples is not None and isinstance(setting.grid, PointGrid):
        kinds = {"starved": these.totals == 0, "unreached": these.unreached}
        assert chunk.images is not None
        drawn = Drawn(chunk.images[image], chunk.a_rows(rows), image, corners, placed)
        found.examples.add(setting.key, setting.grid, kinds, drawn)
    return starved


def _of_points(
    setting: Setting, truths: Any, sizes: NDArray[np.int64], reach: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return the candidates of truths by level, and those that are shared and out of reach; of anchors 1 or 0."""
    if isinstance(setting.grid, AnchorGrid):
        with threads_here(threads_for(setting.grid, truths.images, sizes)):
            best = match(setting.grid.astype(truths.dtype), truths, size=sizes, sparse=True).best
        levels = np.zeros((len(truths), len(setting.grid.strides)), np.int64)
        levels[:, 0] = best >= COVERED
        return levels, np.zeros(len(truths), np.bool_), None
    assert setting.rule is not None
    far = reach if setting.reaches else 0.0
    counted = count_candidates(setting.grid, truths, rule=setting.rule, size=sizes, reach=far)
    unreached = None if counted.reach is None else (counted.totals > 0) & (counted.reach == 0)
    return counted.counts, counted.shared, unreached


def _batch(chunk: Chunk, parts: list[Starved], classes: tuple[NDArray[np.int64], list[Any]] | None, schema: Any) -> Any:
    assert chunk.images is not None and chunk.a.offsets is not None
    return starved_table(parts, values_of_rows(chunk.images, chunk.a.offsets), chunk.a_rows, classes, schema)
