"""YOLO: a text file per image, a line per box, relative to the image's size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.datasets.by_image import Group, file_stems, grouped
from fastbox.datasets.categories import Names, load_yaml, numbered, yaml_module
from fastbox.datasets.dataset import BATCH_ROWS, Dataset, boxes_schema, format_of, images_schema, names_in
from fastbox.datasets.formats.yolo_layout import SIZES, YAML, has_names, is_label, layout_of
from fastbox.datasets.formats.yolo_lines import Lines, is_list_of_images, kind_of_lines, parsed, slanted, wrong_line
from fastbox.datasets.fractions import shortest
from fastbox.datasets.image_sizes import Sizes, images_table, sizes_from, warn_of_unsized
from fastbox.datasets.listing import read_plain
from fastbox.datasets.registry import Format, Signs
from fastbox.datasets.rotated import box_columns
from fastbox.errors import InputError, InputWarning, advice
from fastbox.storage.folders import Folder
from fastbox.values.groups import values_of_rows

__all__ = ["FILE_FORMATS", "ROTATED", "read", "read_labels", "write", "write_labels"]

pacsv = deferred("pyarrow.csv")

PLAIN, ROTATED = "cxcywh", "xyxyxyxy"
TASK = b"task: obb\n"

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, names: Names | None = None, sizes: StrPath | None = None) -> Dataset:
    """Read a folder of YOLO labels.

    Parameters
    ----------
    source : path
        A folder with ``labels/`` in it or further below, as Roboflow, Ultralytics and Label Studio export it; a folder
        with ``obj_train_data/``, as CVAT and Darknet do; a folder of labels; or the YAML file whose path, train, val
        and test are the places of the images. Every ``*.txt`` among labels is an image, an empty file too, but not a
        list of images or a README. Images in ``images/`` beside ``labels/``, or beside the labels, that have no label
        file are images without boxes. Label files without an image, or whose image is damaged, and text files that are
        not labels are left out with a warning, if there are other images.
    names : list, dict or path, optional
        The names of categories, or the file that has them: YAML, or text with one name on each line. By default the
        names in ``data.yaml``, ``classes.txt``, ``obj.names`` or a similar file: in the folder, with the labels, or in
        a folder up to the one above ``labels/``.
    sizes : path, optional
        A folder of images, or a Parquet or CSV table of image_id, width, height. By default ``sizes.csv`` in the
        folder, as :func:`write` leaves it, or else the headers of the images.

    Returns
    -------
    Dataset
        cx, cy, w, h in pixels: the number of the file times the image's width or height, in float64.
        Lines of five numbers are truths, lines of six numbers results, with a score. A polygon becomes the box around
        it; a line with keypoints (kpt_shape in ``data.yaml``) becomes the box before the keypoints.

    Raises
    ------
    InputError
        The folder has no labels, or (while the batches are read) a line can't be used, looks like keypoints without
        ``kpt_shape``, a track id, a rotated box or pixels, or no box has an image with a size; the message names it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "sizes.csv").write_text("image_id,width,height\\n7,640,480\\n")
    >>> _ = (folder / "7.txt").write_text("0 0.5 0.5 0.1 1.0004\\n")
    >>> [batch.to_pylist()[0]["h"] for batch in read(folder).batches]
    [480.192]
    """
    return read_labels(source, names, sizes)


def read_labels(source: StrPath, names: Names | None, sizes: StrPath | None, rotated: bool = False) -> Dataset:
    """Read a folder of labels of plain boxes, as :func:`read` says, or of rotated boxes, as four corners."""
    layout = layout_of(source)
    known = layout.sizes if sizes is None else sizes_from(sizes)
    labels = dict(layout.labels)
    if not (labels or known.listed()):
        raise InputError(f"expected YOLO labels, *.txt, in {layout.where}, got none: name the folder that has them")
    shape = load_yaml(layout.names).get("kpt_shape") if layout.names and layout.names.endswith(YAML) else None
    lines = kind_of_lines(map(read_plain, labels.values()), _keypoints(shape, layout.names), rotated)
    scores = [("score", pa.float64())] if lines.scored else []
    schema = boxes_schema(pa.string(), *scores, format=ROTATED if rotated else PLAIN)
    image_ids = {*labels, *known.listed()}
    given = names if names is not None else layout.names
    return Dataset(
        kind="results" if lines.scored else "truths",
        schema=schema,
        batches=_batches(layout.where, labels, lines, schema, known, image_ids),
        ordered=True,
        images=lambda: images_table(sorted(image_ids), known),
        categories={} if given is None else numbered(given),
    )


def write(dataset: Dataset, target: StrPath, *, digits: int = 6, renumber: bool = False) -> None:
    """Write a data set as YOLO labels, all files or none: ``labels/*.txt``, ``data.yaml`` and ``sizes.csv``.

    Parameters
    ----------
    dataset : Dataset
        Every image that has boxes must have a width and a height.
    target : path
        A new or empty folder. A label file has the name of the image's file, or its id if it has no file. ``data.yaml``
        has the names; ``sizes.csv`` the size and the file of every image, so that labels can be read without images.
    digits : int
        Decimals of a coordinate, without trailing zeros, or the fewest further ones that read back as the same pixels.
        Pixels that no float64 times the size gives change by one unit in the last place.
    renumber : bool
        Number the categories from 0 without gaps, by ascending id, as Ultralytics requires. By default ids are kept.

    Raises
    ------
    InputError
        The target is not empty; an image's name can't be the name of a file, or two images have the same name; an image
        with boxes has no size; a score is not from 0 to 1; a category has no name; PyYAML is not installed.
    """
    write_labels(dataset, target, digits, renumber)


def write_labels(dataset: Dataset, target: StrPath, digits: int, renumber: bool, format: str = PLAIN) -> None:
    """Write labels of boxes in a format, as :func:`write` says."""
    listed: list[pa.Table] = []
    with Folder(target) as folder:
        for group in grouped(dataset, target):
            numbers = {number: i for i, number in enumerate(sorted(dataset.categories))} if renumber else None
            lines = _lines(group, dataset, digits, numbers, format)
            stems = file_stems(group.images, ids=False)
            for stem, start, stop in zip(stems, group.offsets[:-1], group.offsets[1:], strict=True):
                folder.write(f"labels/{stem}.txt", "".join(lines[start:stop]).encode())
            columns = [pa.array(stems, pa.string()), *(group.images[name] for name in group.images.column_names[1:])]
            listed.append(pa.Table.from_arrays(columns, schema=images_schema(pa.string())))
        if dataset.categories:
            names = [dataset.categories[number] for number in sorted(dataset.categories)]
            made = _yaml(names if renumber else dict(sorted(dataset.categories.items())))
            folder.write("data.yaml", TASK + made if format == ROTATED else made)
        sizes = BytesIO()
        pacsv.write_csv(pa.concat_tables([images_schema(pa.string()).empty_table(), *listed]), sizes)
        folder.write(SIZES, sizes.getvalue())


def _keypoints(shape: Any, where: str | None) -> int:
    """Return the number of values of a box's keypoints, given ``kpt_shape``."""
    try:
        number, size = shape or (0, 0)
        return int(number) * int(size)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"expected two whole numbers for kpt_shape in {where}, got {shape!r}: write [17, 3] or the like"
        ) from error


def _batches(
    where: str, labels: dict[str, str], lines: Lines, schema: pa.Schema, known: Sizes, image_ids: set[str]
) -> Iterator[pa.RecordBatch]:
    """Yield the boxes of label files; take the ids of files without labels or without a size off ``image_ids``."""
    owners: list[str] = []
    counts: list[int] = []
    sizes: list[tuple[int, int]] = []
    numbers: list[float] = []
    unsized: dict[str, int] = {}
    sized = False
    for image, path in labels.items():
        data = read_plain(path)
        if not data:
            continue
        try:
            found = parsed(data, lines)
        except ValueError as error:
            lists = is_list_of_images(data)
            if image in known.listed() or not (lists or known.listed()):
                raise wrong_line(path, data, lines) from error
            what = "lists images and is not a label" if lists else "is not a label, and no image has its name"
            warnings.warn(InputWarning(f"{path} {what}: left out"), stacklevel=2)
            image_ids.discard(image)
            continue
        boxes = len(found) // lines.words
        if found:
            width, height, _ = known(image)
            if not (width and height):
                if not known:
                    raise _no_size(image, path)
                unsized[path] = boxes
                image_ids.discard(image)
                continue
            sized = True
            owners.append(image)
            counts.append(boxes)
            sizes.append((width, height))
            numbers += found
        if len(numbers) >= BATCH_ROWS * lines.words:
            yield _batch(owners, counts, sizes, numbers, schema)
            owners, counts, sizes, numbers = [], [], [], []
    if unsized and not sized:
        path = next(iter(unsized))
        image = next(image for image, label in labels.items() if label == path)
        raise known.broken.get(image) or _no_size(image, path)
    if owners:
        yield _batch(owners, counts, sizes, numbers, schema)
    if unsized:
        warn_of_unsized(where, "label file", unsized, known)
    if not (lines.rotated or lines.keypoints):
        _warn_of_corners(where, labels.values(), lines)


def _warn_of_corners(where: str, paths: Iterable[str], lines: Lines) -> None:
    """Warn of labels that are polygons of four points throughout: they may be rotated boxes that were drawn by hand."""
    total = 0
    for path in paths:
        found = slanted(read_plain(path), lines)
        if found is None:
            return
        total += found
    if total:
        how = advice("--from yolo-obb", "source_format=" + repr("yolo-obb"))
        what = f"all lines of {where} are polygons of four points, and are read as the upright boxes around them"
        warnings.warn(InputWarning(f"{what}: if they are rotated boxes, convert them with {how}"), stacklevel=2)


def _no_size(image: str, path: str) -> InputError:
    return InputError(
        f"expected the size of image {image}, which the boxes in {path} are relative to, got none: "
        f"put images/ beside labels/, or give the images or a table of sizes with "
        f"{advice('--sizes PATH', 'sizes=PATH')}"
    )


def _batch(
    owners: list[str], counts: list[int], sizes: list[tuple[int, int]], numbers: list[float], schema: pa.Schema
) -> pa.RecordBatch:
    words = len(schema) - 1
    values = np.array(numbers, np.float64).reshape(-1, words).T
    per_row = np.repeat(np.arange(len(owners)), counts)
    own = np.array(sizes, np.float64)[per_row].T  # widths and heights
    count = len(names_in(format_of(schema)))
    columns = [*(values[1 + k] * own[k % 2] for k in range(count)), *values[1 + count :]]
    images = pa.array(owners, pa.string()).take(pa.array(per_row))
    arrays = [images, pa.array(values[0].astype(np.int32)), *map(pa.array, columns)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _lines(
    group: Group, dataset: Dataset, digits: int, numbers: dict[int, int] | None, format: str = PLAIN
) -> list[str]:
    rows = group.rows
    classes = rows["category_id"].to_pylist()
    if numbers is not None:
        unknown = next((number for number in classes if number not in numbers), None)
        if unknown is not None:
            raise InputError(
                f"expected a name for every category to number them from 0, got none for {unknown}: name it"
            )
        classes = [numbers[number] for number in classes]
    sizes = [_per_row(group, name) for name in ("width", "height")]
    with np.errstate(over="ignore"):  # numbers that are not finite are written as they are
        words = [shortest(column, sizes[k % 2], digits) for k, column in enumerate(box_columns(rows, format))]
    if dataset.kind == "results":
        scores = rows["score"].cast(pa.float64()).to_pylist()
        place = next((place for place, score in enumerate(scores) if not 0 <= score <= 1), None)
        if place is not None:
            image = rows["image_id"][place].as_py()
            raise InputError(
                f"expected scores from 0 to 1 for YOLO, got {scores[place]} in a box of image {image!r}: scale them"
            )
        words.append(list(map(repr, scores)))
    return [f"{number} {' '.join(line)}\n" for number, line in zip(classes, zip(*words, strict=True), strict=True)]


def _per_row(group: Group, name: str) -> NDArray[np.int32]:
    """Return the width or the height of each box's image."""
    counts = np.diff(group.offsets)
    column = group.images[name].fill_null(0).to_numpy()
    missing = np.flatnonzero((column <= 0) & (counts > 0))
    if missing.size:
        image = group.images["image_id"][int(missing[0])].as_py()
        raise InputError(
            f"expected the {name} of image {image!r}, which YOLO's boxes are relative to, got none: read its sizes too "
            f"with {advice('--sizes PATH', 'sizes=PATH')}"
        )
    return values_of_rows(column, group.offsets)


def _yaml(names: list[str] | dict[int, str]) -> bytes:
    # A reader would take some characters that don't print for line breaks if they were not escaped.
    plain = all(name.isprintable() for name in (names.values() if isinstance(names, dict) else names))
    text: bytes = yaml_module().safe_dump({"names": names}, allow_unicode=plain, encoding="utf-8", sort_keys=False)
    return text


FILE_FORMATS = (
    Format(
        "yolo",
        read,
        write,
        kind="folder",
        text="a folder with labels/*.txt",
        lacks=("iscrowd", "ignore", "difficult"),
        signs=Signs(endings=YAML, has_names=has_names, inside="labels", is_member=is_label),
    ),
)
