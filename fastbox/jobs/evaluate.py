"""Evaluate the detections of one or many models as COCO does, with the errors that its averages hide."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow import columns
from fastbox.arrow.rows import Rows
from fastbox.datasets.as_source import Given
from fastbox.datasets.categories import Names, numbered
from fastbox.errors import InputError, advice
from fastbox.evaluation import Evaluation, Federation, Params
from fastbox.evaluation.matching import Judged
from fastbox.evaluation.params import rules_of
from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.evaluation.summary import BETAS
from fastbox.jobs.base import job
from fastbox.jobs.checks import matched_geometry
from fastbox.jobs.evaluate_tables import Read, check_listed, dropped, further_columns, has, joined
from fastbox.jobs.evaluated import Evaluated
from fastbox.jobs.federations import federation_of
from fastbox.jobs.output import Output
from fastbox.jobs.progress import halved
from fastbox.jobs.slicing import Slicing
from fastbox.kernels.codes import PLAIN
from fastbox.memory import check_kept
from fastbox.parallel import Version, compile_together, run_calls
from fastbox.results.error_examples import Gallery, Seen
from fastbox.results.match_types import match_batch, match_schema
from fastbox.tables.chunk import ROWS, Chunk
from fastbox.tables.class_names import JoinedClasses
from fastbox.tables.files import column_names
from fastbox.tables.source import Source, count_boxes, plans_of
from fastbox.tables.stream import scan
from fastbox.values.names import CLASS, SCORE
from fastbox.values.numbers import as_number_from, as_whole

__all__ = ["Evaluated", "evaluate"]

gathering = deferred("fastbox.jobs.gathered")

SAMPLES = 1000  # of a comparison, unless another number is asked for
KEPT_CLASS = 4096  # bytes that a class takes in the end: 3,600 were measured
KEPT = 256  # bytes that a detection takes until the end, and when all are put in order: 90 to 220 were measured

F8 = np.dtype(np.float64)

# The kernels of samples, of which the first takes longest to compile.
OF_SAMPLES = ("evaluate.bootstrap", "RESAMPLE", F8, ""), ("evaluate.best_scores", "BEST_SCORES", F8, "")

# The kernels of every evaluation, module by module, in descending order of the time of compiling.
TRACE, SORT = ("evaluate.curves", "TRACE", F8, ""), ("common.sorting", "SORT", F8, "")
KERNELS = (
    ("evaluate.match", "MATCH", F8, ""),
    ("evaluate.tide", "CLASSIFY_ERRORS", F8, ""),
    ("evaluate.hits", "MEASURE_HITS", F8, ""),
    TRACE,
    SORT,
)


@job(
    *("detections", "truths", "*others"),
    adds_up=True,
    rotated=True,
    whole={"others": "detections of several models"},
    reads=("names", "images_table", "federation", "hierarchy"),
    kept=KEPT,
)
def evaluate(
    detections: Given,
    truths: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    others: Sequence[Given] = (),
    by: str | None = None,
    compare: bool = False,
    params: Params | None = None,
    rule: str = "coco",
    metric: str = "iou",
    score_column: str = SCORE,
    class_column: str = CLASS,
    crowd_column: str | None = COCO.crowd,
    ignore_column: str | None = COCO.ignore,
    area_column: str | None = COCO.area,
    names: Names | None = None,
    samples: int = 0,
    seed: int = 0,
    federation: str | os.PathLike[str] | Federation | Given | None = None,
    hierarchy: str | os.PathLike[str] | Mapping[Any, Collection[Any]] | None = None,
    confusion_iou: float | None = None,
    confusion_score: float | None = None,
    f_beta: float = 1.0,
    slice_by: Sequence[str] = (),
    images_table: Given | None = None,
    force: bool = False,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> Evaluated:
    """Evaluate detections against truths; each figure equals that of pycocotools to the last bit.

    Parameters
    ----------
    detections, truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
    out : path, optional
        The file to write, one row for each detection: ``image_id``, ``detection`` (its row, from 0), the model,
        ``match_type`` (matched, localization, classification, duplicate, background, both, ignored, or null for one
        beyond the greatest of ``max_dets``), ``truth`` (the row of the truth that it matches, or that its error is
        about) and ``iou``, or ``probiou`` by that metric.
    others : sequence of tables, optional
        Detections of further models on the same images; the models have the names of their files.
    by : str, optional
        The column of the detections with the model of each; models are evaluated separately.
    compare : bool
        Compare the model of ``detections``, or the best one by ``by``, with each of the others: the differences of
        figures, with intervals of 1,000 samples unless ``samples`` says otherwise, and the truths found by one only.
    params : Params, optional
        The thresholds, ranges of areas and numbers of detections that count; by default COCO's.
    rule : str
        The name of the benchmark whose rules count, unless ``params`` has them: ``"coco"``, ``"voc07"``, ``"voc12"``, …
    metric : {"iou", "probiou"}
        What rotated boxes are matched by, unless ``params`` has it.
    score_column, class_column : str
        The columns of scores and of classes, the latter in both tables.
    crowd_column, ignore_column, area_column : str or None
        Columns of the truths, used if the table has them: regions that hold many objects, truths that do not count, and
        areas in square pixels that differ from width times height. A flag is set if it is true, a number other than 0
        and nan, or the text 1, true or yes; a null is not set. The defaults stand for the columns of the protocol.
    names : list, dict or path, optional
        Names of classes in the order of their numbers from 0, by number, or a file with one name on each line.
    samples : int
        The number of samples of the images for confidence intervals; 0 for no intervals.
    seed : int
        The seed of these samples.
    federation : path, frame or Federation, optional
        The classes that images are annotated for. For the rule ``"lvis"`` also the JSON file of LVIS that lists
        them, by default the file of the truths; for ``"open-images"`` a table of verified labels, with columns of
        images and classes (``ImageID``, ``LabelName``), and ``Confidence``, which is 0 where the image does not have
        the class.
    hierarchy : path or mapping of class to classes, optional
        For ``"open-images"``: the classes directly above each class, or JSON with them. A truth is also one of every
        class above its own.
    confusion_iou, confusion_score : float, optional
        The least IoU of a match and the least score of a detection in the confusion matrix, which is made if one of
        these or a report is requested; by default IoU 0.50, and the score where F is highest.
    f_beta : float
        How much more than precision recall counts in F, whose highest values choose the best scores.
    slice_by : sequence of str
        Columns of the truths, or of the table of images, whose values are groups with figures of their own. A column of
        truths with one value in each image groups images; another one groups truths, and outside a group truths are
        ignored. ``"crowding"`` groups images by their number of truths, and ``"border"`` groups truths that touch the
        border of their image.
    images_table : path, directory, glob, frame or Arrow table, optional
        A table of images, with their ids and columns to slice by, or ``file_name`` for pictures; by default the images
        that the truths' file lists.
    force : bool
        Go on, with a warning, where the tables have no image or too few classes in common.
    report : path, optional
        The HTML page to write, with figures, plots, tables and examples (the extra ``report``).
    pictures : path, optional
        The folder of the images, to show them behind the boxes of the page's examples (the extra ``formats``).
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of detections done since the last call. With models side by side, or samples, half of
        them are done when detections are matched, and the others when the figures of their model are computed.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, score or class.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> truths, detections = os.path.join(folder, "gt.parquet"), os.path.join(folder, "dt.parquet")
    >>> boxes = {"image_id": [1, 2], "category_id": [7, 7], "bbox": [[0.0, 0, 4, 4], [0.0, 0, 4, 3]]}
    >>> pq.write_table(pa.table(boxes), truths)
    >>> pq.write_table(pa.table(boxes | {"score": [0.5, 0.9]}), detections)
    >>> evaluate(detections, truths).evaluation.stats()["AR100"]
    1.0
    """
    samples, seed = as_whole(samples, "samples"), as_whole(seed, "seed")
    f_beta = as_number_from(f_beta, "f_beta", *BETAS)
    if confusion_iou is None and (report is not None or confusion_score is not None):
        confusion_iou = 0.5
    if others and by is not None:
        raise InputError(f"expected one table of detections by {by!r}, got {1 + len(others)}: leave the column out")
    params = rules_of(params, rule, metric)
    known = federation_of(federation, truths, params, hierarchy)
    evaluation = Evaluation(params, confusion_iou=confusion_iou, federation=known)
    params = evaluation.params
    samples = _samples(params, samples, compare)
    a, b = Source.carrying(detections), Source.carrying(truths)
    truth_columns = {"crowd": crowd_column, "ignore": ignore_column, "area": area_column}
    there = params.record.columns(column_names(b.path), **truth_columns)
    there |= further_columns(params, b)
    label = class_column if not params.class_agnostic or has(a, b, class_column) else None
    slicing = Slicing.of(slice_by, b, images_table if slice_by or pictures is None else None)
    evaluation.collected.group(slicing.groups)
    a, b = Source.carrying(a, score_column, label, by), Source.carrying(b, label, *there.values(), *slicing.columns)
    more = [Source.carrying(other, score_column, label) for other in others]
    plans = plans_of(a, b, *more)
    geometry = matched_geometry(params, *(found.boxes for found in plans))
    evaluation.collected.widened(geometry)
    classes = joined(plans, score_column, label, by, there)
    files = [file for plan in (plans[0], *plans[2:]) for file in plan.files]
    gathered = gathering.Gathered.of((a, b, *more), plans, score_column, label, classes) if more else None
    if gathered is not None:
        by, classes, plans = gathering.BY, gathered.joined, [gathered.plan(plans[0]), plans[1]]
    check_kept(boxes := sum(map(count_boxes, (a, *more))), KEPT + slicing.kept(params))
    if a.fragment is None:
        evaluation.reserve(boxes)
    read = Read.of((a, b), plans, {"score": score_column, "class": label, **there}, classes, by)
    evaluation.listed = None if read.listed is None else len(read.listed)
    called = {} if names is None else {str(number): name for number, name in numbered(names).items()}
    evaluation.names = classes.names | called
    found = Evaluated(evaluation, by, evaluation.names, samples, seed, read, forced=force, compared=compare)
    found.confusion_score, found.f_beta, found.reference = confusion_score, f_beta, gathered and gathered.models[0]
    found.gallery = Gallery(pairs=compare) if by is None or report is not None else None
    parameters = {"detections": files, "truths": plans[1].files, "by": by, "class_column": label}
    schema = match_schema(plans[0], by, params.metric) if out is not None else None
    needed = _kernels(params, geometry)
    compile_together((*OF_SAMPLES, *needed) if samples else needed)
    follows = progress is not None and a.fragment is None and (by is not None or samples > 0)
    step = halved(progress) if progress is not None and follows else progress
    with Output(out, schema, command="evaluate", parameters=parameters, progress=step) as output:
        chunks = scan(a, b, *more, rows=rows)
        for chunk in chunks if gathered is None else gathered.chunks(chunks):
            if read.listed is not None:
                check_listed(chunk, read.listed, read.files[1])
            judged = _add(found, chunk, score_column, label, classes, by, there, slicing)
            check_kept(len(found.evaluation.class_labels), KEPT_CLASS, "classes")
            output.write(match_batch, chunk, judged, by, schema)
            output.step(len(chunk.a))
        if a.fragment is None:  # a class or an image that one fragment lacks may be in another
            found.check()
        if follows:
            found.compute(output.step)
        if out is not None:
            output.record(stats={str(model): stats for model, stats in found.stats.items()})
    return found


def _kernels(params: Params, geometry: str) -> Sequence[Version]:
    """Return the kernels of an evaluation of boxes of a geometry."""
    if geometry == PLAIN:
        return KERNELS
    match = "MATCH_ANY" if params.record.takes == "any" else "MATCH"
    own: list[Version] = [(f"evaluate.{geometry}", name, F8, params.metric) for name in (match, "CLASSIFY_ERRORS")]
    return *own, (f"compare.{geometry}", "PACK", F8, ""), TRACE, SORT


def _samples(params: Params, samples: int, compare: bool) -> int:
    """Return the number of samples, some for a comparison; refuses samples by rules without intervals."""
    if samples and params.sampled_recalls is None:
        how = advice("--bootstrap", "samples")
        raise InputError(
            f"expected no samples with rule {params.rule!r}, whose figures have no intervals: leave {how} out"
        )
    return SAMPLES if compare and not samples and params.sampled_recalls is not None else samples


def _add(
    found: Evaluated,
    chunk: Chunk,
    score: str,
    label: str | None,
    classes: JoinedClasses,
    by: str | None,
    there: Mapping[str, str | None],
    slicing: Slicing,
) -> Judged:
    assert chunk.b is not None and found.read is not None
    evaluation = found.evaluation
    size = len(chunk.b)
    kinds, truth_kinds = np.zeros(len(chunk.a), np.int64), np.zeros(size, np.int64)
    if label is not None:
        both = (chunk.a_columns, chunk.a_rows), (chunk.b_columns, chunk.b_rows)
        kinds, truth_kinds = _codes(evaluation.code_classes, label, *both, joined=classes)
    if label is None:
        evaluation.code_classes([None])
    if by is None:
        evaluation.code_models([None])
    flags = {
        name: np.zeros(size, np.bool_) if column is None else columns.flag_column(chunk.b_columns, column, chunk.b_rows)
        for name, column in there.items()
        if name in ("crowd", "ignore")
    }
    numbers = {
        name: np.full(size, np.nan)
        if there[name] is None
        else columns.number_column(chunk.b_columns, name, missing=np.nan).astype(np.float64)
        for name in evaluation.params.numbers
    }
    area = there["area"]
    scores = columns.number_column(chunk.a_columns, score, what="a score", rows=chunk.a_rows)
    if by is None:
        models = np.zeros(len(chunk.a), np.int64)
    else:
        models = _codes(evaluation.code_models, by, (chunk.a_columns, chunk.a_rows), what="a label")[0]
    left_out = dropped(chunk, found.read, kinds, truth_kinds, evaluation.class_labels)
    areas = None if area is None else columns.number_column(chunk.b_columns, area, missing=np.nan)
    assert chunk.a.offsets is not None and chunk.b.offsets is not None
    asked = ~(flags["crowd"] | flags["ignore"])
    of_images, of_truths = slicing.of_chunk(chunk, asked & ~left_out[1])
    given = GroundTruths(chunk.b, truth_kinds, flags["crowd"], flags["ignore"], areas, left_out[1], of_truths, numbers)
    images = Images(chunk.images, chunk.a.offsets, chunk.b.offsets, of_images)
    adding = evaluation.add_coded, images, Detections(chunk.a, scores, kinds, models, left_out[0]), given
    looking = [] if found.gallery is None else [(found.gallery.look,)]  # at the chunk before
    judged: Judged = run_calls([adding, *looking])[0]
    if found.gallery is None:
        return judged
    sides, names, labels = {"found": kinds, "truth": truth_kinds}, found.names, evaluation.class_labels

    def class_name(side: str, row: int) -> str:  # without the result, which holds this function until it is called
        name = str(labels[sides[side][row]])
        return names.get(name, f"class {name}" if label is not None else "any class")

    asked &= ~given.ignore  # by a filter of the rules too
    found.gallery.add(Seen(chunk, judged, scores, models, [*evaluation.model_labels], asked, class_name))
    return judged


def _codes(
    code: Callable[[list[Any]], NDArray[np.int64]],
    name: str,
    *sides: tuple[Any, Rows],
    what: str = "a class",
    joined: JoinedClasses | None = None,
) -> list[NDArray[np.int64]]:
    """Return a column of some tables as codes of the evaluation."""
    found, labels = columns.label_columns(*sides, name=name, what=what, joined=joined.tables if joined else ())
    own = code(labels)
    return [own[places] if len(places) else places for places in found]
