"""Convert annotations from one file format to another."""

from __future__ import annotations

import inspect
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.arrow.columns import flag_column
from fastbox.datasets import recognize
from fastbox.datasets.as_source import Given, as_source, has_rows
from fastbox.datasets.dataset import Dataset
from fastbox.datasets.different import Different
from fastbox.datasets.registry import Format, format_named, formats
from fastbox.datasets.rotated import Loss, fitted
from fastbox.errors import InputError, InputWarning, advice
from fastbox.report.numbers import counted
from fastbox.stages import logger, stage, staged
from fastbox.storage.convention import check_name
from fastbox.storage.locate import check_named, expand
from fastbox.storage.opened import State, check_state, state_of
from fastbox.storage.outputs import check_outputs
from fastbox.storage.stores import local
from fastbox.tables.frames import is_frame, listed
from fastbox.tables.source import Source
from fastbox.values.arguments import checked
from fastbox.values.names import IMAGE
from fastbox.values.numbers import as_choice

__all__ = ["convert"]

pc = deferred("pyarrow.compute")

# Options that name files: no output may be one of them.
INPUTS = ("sizes", "names")
# Options that the format's name implies, or that this module sets.
INTERNAL = {"kind", "source"}
# Options with another name on the command line.
TYPED = {"out_box_format": "output_format"}

StrPath: TypeAlias = str | os.PathLike[str]


@checked
def convert(
    source: Given,
    out: StrPath,
    *,
    source_format: str | None = None,
    out_format: str | None = None,
    rectangles: bool = False,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> dict[str, float | str]:
    """Convert annotations of images from one file format to another, in bounded memory.

    Parameters
    ----------
    source : path, frame, Arrow table, dict of arrays or Boxes
        A file or a folder in its file format; CSV with a header and tables in memory are read as Parquet is. Of
        Parquet also a list of files.
    out : path
        The file or folder to write: complete or not at all.
    source_format, out_format : str, optional
        parquet, coco, coco-results, yolo, yolo-obb, dota, hrsc, voc, open-images, kitti, crowdhuman or huggingface. By
        default recognized by the paths and by the content of the source.
    rectangles : bool
        Replace quadrilaterals by the rectangles of smallest area around them; the summary has the mean and the least
        IoU of a quadrilateral with its rectangle. Rotated rectangles become quadrilaterals where the format needs them.
    progress : callable, optional
        Called with the number of boxes read since its last call.
    **options
        Options of ``read`` of the source's format and of ``write`` of the output's format, in
        ``fastbox.datasets.formats``. For Parquet: ``write_images``, a second table to write, one row per image, images
        without boxes included; ``out_box_format``, ``"xywh"``, ``"xyxy"`` or ``"cxcywh"``, by default the source's, so
        that coordinates do not change; ``dtype``, ``"float64"`` or ``"float32"``. None means the default.

    Returns
    -------
    dict
        kind, rows, images, categories, images_without_boxes, and images_left_out: those without boxes that the output
        does not list; where boxes change their shape invalid_boxes, with ``rectangles`` mean_iou and min_iou.

    Raises
    ------
    ValueError
        An unknown file format, format of boxes, dtype or kind.
    InputError
        The source can't be used or can't be written in the other format (the message names file and place), or neither
        format has an option. Nothing is left under ``out``; an earlier file stays.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> results = [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 5], "score": 0.5}]
    >>> _ = (folder / "results.json").write_text(json.dumps(results))
    >>> convert(folder / "results.json", folder / "detections.parquet", out_box_format="xyxy")
    {'kind': 'results', 'rows': 1, 'images': 1, 'categories': 1, 'images_without_boxes': 0, 'images_left_out': 0}
    """
    given = {name: value for name, value in options.items() if value is not None}
    out = local(out)
    given |= {"write_images": local(given["write_images"])} if "write_images" in given else {}
    asked = source = listed(source)
    source, source_format = _as_table(source, source_format, given)
    reader = _Side("read", source_format, lambda: _format_of(source))
    files = [source] if isinstance(source, str | os.PathLike) else list(source)
    if len(files) > 1 and reader.format.kind != "table":
        raise InputError(f"expected one source in {reader.name}, got {len(files)}: convert them one by one")
    source = files if reader.format.kind == "table" and len(files) > 1 else files[0]
    writer = _Side("write", out_format, lambda: recognize.format_for(out))
    for name in sorted(given.keys() - reader.options - writer.options):
        known = ", ".join(map(_typed, sorted((reader.options | writer.options) - INTERNAL))) or "none"
        raise InputError(
            f"expected an option that reading {reader.name} or writing {writer.name} has ({known}), got "
            f"{_typed(name)}: leave it out"
        )
    read = [asked] if reader.format.kind != "file" or not os.path.isdir(files[0]) else []
    read = [*read, *(given[name] for name in INPUTS if isinstance(given.get(name), str | os.PathLike))]
    _check_outputs(read, writer.format, out, given.get("write_images"))
    if "source" in writer.options:
        given["source"] = ", ".join(map(os.path.basename, files))

    before = {os.fspath(file): state_of(file) for file in files if os.path.isfile(file)}
    with stage("decode"):
        dataset = reader(given, source)
    dataset = replace(dataset, batches=_unchanged(dataset.batches, before))
    loss = Loss()
    dataset = fitted(dataset, writer.format, given.get("out_box_format"), rectangles, loss)
    tally = Tally(dataset, progress, os.fspath(files[0]), writer.format.lacks)
    with stage("encode"):
        writer(given, tally.dataset, out)
    labels = writer.format.labels
    if not writer.format.numbered and not (labels and labels in dataset.schema.names):
        _warn_of_shared_names(tally.dataset.categories, writer.name)
    if tally.dataset.kind == "truths":
        _log_lost_marks(tally, writer.format)
    return _with_left_out(tally, writer.format, "write_images" in given) | loss.to_dict()


def _typed(name: str) -> str:
    """Return the name of an option for a message, in the form of the command line or of Python."""
    return advice(f"--{TYPED.get(name, name).replace('_', '-')}", name)


def _check_outputs(read: list[Any], format: Format, out: StrPath, write_images: StrPath | None) -> None:
    """Refuse outputs that would replace an input or each other, and a name with the ending of another format."""
    if format.kind == "table":
        check_outputs(read, {"out": out, "write_images": write_images})
        return
    written = {"out": os.path.join(out, "") if format.kind == "folder" else out}
    apart = [own.ending for own in formats().values() if own.kind == "file"]
    check_outputs(read, {"write_images": write_images}, written, apart)
    if format.kind == "file":
        check_name(out, format.ending, f"{format.name} annotations")


def _unchanged(batches: Iterable[pa.RecordBatch], before: Mapping[str, State]) -> Iterator[pa.RecordBatch]:
    """Yield batches, and refuse files that changed while they were read."""
    yield from batches
    for source, state in before.items():
        check_state(source, state)


def _format_of(source: Any) -> str:
    """Return the file format of a source, or the one format of several sources."""
    files = [source] if isinstance(source, str | os.PathLike) else source
    names = list(dict.fromkeys(map(recognize.format_of, files)))
    if len(names) != 1:
        raise InputError(f"expected sources in one format, got {', '.join(names) or 'none'}: convert them one by one")
    return names[0]


def _found(pattern: StrPath) -> list[str]:
    """List the files that match a pattern; none for the name of a file or folder."""
    return [] if os.path.exists(pattern) else expand(os.fspath(pattern), every=True)


def _as_table(source: Given, format: str | None, options: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Read a table in memory, a plain CSV file or JSON lines into Parquet; return any other source as it is."""
    if not is_frame(source):
        check_named(source, "source")
        source = source[0] if not isinstance(source, str | os.PathLike) and len(source) == 1 else source
    several = [] if is_frame(source) else _found(source) if isinstance(source, str | os.PathLike) else source
    if format is not None or not (is_frame(source) or has_rows(source) or (several and all(map(has_rows, several)))):
        return source, format
    table = replace(Source(()), path=source, image=options.get("image_column", IMAGE))
    return as_source(table, "source").path, "parquet"


class Tally:
    """Counts of the boxes, images and categories that pass through a data set.

    Attributes
    ----------
    dataset : Dataset
        The data set, which is counted while it is read; its table of images is made only once.
    marked : dict of str to Counter
        For each mark that is counted, the number of boxes with it by category.
    """

    def __init__(
        self,
        dataset: Dataset,
        progress: Callable[[int], object] | None = None,
        where: str = "",
        marks: Iterable[str] = (),
    ) -> None:
        images = cache(lambda: _each_once(dataset.images(), where))
        self.dataset = replace(dataset, batches=self._counted(dataset.batches), images=images)
        self._progress = progress
        self._rows = 0
        self._images, self._categories = Different(), Different()
        self.marked = {name: Counter[int]() for name in marks if _is_mark(dataset.schema, name)}

    def summary(self) -> dict[str, float | str]:
        """Return the counts, once all batches have passed."""
        images = self._images.count_with(*self.dataset.images()["image_id"].chunks)
        named = pa.array(list(self.dataset.categories), pa.int64())
        return {
            "kind": self.dataset.kind,
            "rows": self._rows,
            "images": images,
            "categories": self._categories.count_with(named),
            "images_without_boxes": images - len(self._images),
        }

    def _counted(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in staged("decode", batches):
            self._rows += batch.num_rows
            self._images.add(batch.column("image_id"))
            self._categories.add(batch.column("category_id"))
            for name, marked in self.marked.items():
                marked.update(batch.column("category_id").filter(pa.array(flag_column(batch, name))).to_pylist())
            yield batch
            if self._progress is not None:
                self._progress(batch.num_rows)


def _is_mark(schema: pa.Schema, name: str) -> bool:
    """Tell whether a column of marks is there; words of difficulty, such as easy and hard, are none."""
    return name in schema.names and (name != "difficult" or not pa.types.is_string(schema.field(name).type))


def _each_once(images: pa.Table, where: str) -> pa.Table:
    """Return every image once; refuse an image that is listed twice with different facts."""
    if _are_different(images["image_id"]):
        return images
    ids = images["image_id"].combine_chunks()
    firsts = pc.index_in(ids, value_set=ids)
    again = pc.not_equal(firsts, pa.array(np.arange(len(ids)), firsts.type))
    repeats = pc.sum(again).as_py()
    if not repeats:
        return images
    for row, first in zip(images.filter(again).to_pylist(), images.take(firsts.filter(again)).to_pylist(), strict=True):
        if row != first:
            name = next(name for name in row if row[name] != first[name])
            raise InputError(
                f"{where} lists image {row['image_id']!r} twice, with {name} {first[name]!r} and {row[name]!r}: "
                "remove the wrong one from its list of images"
            )
    example = images.filter(again)["image_id"][0].as_py()
    warnings.warn(
        InputWarning(f"{where} lists {repeats} images again, such as {example!r}, with equal entries: read once"),
        stacklevel=2,
    )
    return images.filter(pc.invert(again))


def _are_different(ids: pa.ChunkedArray) -> bool:
    """Tell, without pyarrow.compute, whether ids are sure to be different: numbers without nulls."""
    if ids.type != pa.int64() or ids.null_count:
        return False
    values = np.sort(ids.to_numpy())
    return bool(np.all(values[1:] != values[:-1]))


def _warn_of_shared_names(categories: Mapping[int, str], format: str) -> None:
    numbers: dict[str, list[int]] = {}
    for number, name in sorted(categories.items()):
        numbers.setdefault(name, []).append(number)
    for name, shared in numbers.items():
        if len(shared) > 1:
            warnings.warn(
                InputWarning(
                    f"categories {' and '.join(map(str, shared))} are both called {name!r}, and {format} keeps only "
                    "names, so both become one category: rename one of them to keep both"
                ),
                stacklevel=3,
            )


def _log_lost_marks(tally: Tally, format: Format) -> None:
    """Log the number of boxes that lose a mark, without boxes whose category has the same meaning."""
    names = tally.dataset.categories.items()
    ignored = {number for number, name in names if format.ignored and name == format.ignored}
    for mark, marked in tally.marked.items():
        lost = sum(many for number, many in marked.items() if number not in ignored)
        if lost:
            many = f"{lost} box{'es become' if lost > 1 else ' becomes'} plain"
            others = "Parquet, VOC or DOTA" if mark == "difficult" else "Parquet or COCO"
            logger().warning("%s has no place for %s, and %s: write %s to keep it", format.name, mark, many, others)


def _with_left_out(tally: Tally, format: Format, beside: bool) -> dict[str, float | str]:
    """Return the summary, with the images without boxes that are in no output; log how to keep them."""
    summary, unlisted = tally.summary(), tally.dataset.unlisted
    without = int(summary["images_without_boxes"])
    if format.lists_images or beside:
        if unlisted:
            lost, how = counted(unlisted, "images without boxes"), advice("--sizes TABLE", "sizes=TABLE")
            logger().warning("the source does not list %s: name them with %s", lost, how)
        return summary | {"images_left_out": unlisted}
    if without:
        how = f"add {advice('--write-images OUT', 'write_images=OUT')}" if format.kind == "table" else "write COCO"
        logger().warning(
            "%s has no place for %s: %s to keep them", format.name, counted(without, "images without boxes"), how
        )
    return summary | {"images_left_out": without + unlisted}


class _Side:
    """The reader or the writer of a file format, with its options."""

    def __init__(self, how: str, name: str | None, recognized: Callable[[], str]) -> None:
        self.name = recognized() if name is None else as_choice(name, list(formats()), "a file format")
        self.format = format_named(self.name)
        # The two formats of COCO share a reader: the kind is checked only if the user named the format.
        self._implied = {} if name is None else self.format.implied
        self._function = getattr(self.format, how)
        parameters = inspect.signature(self._function).parameters.values()
        taken = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
        self.options = taken - self._implied.keys()

    def __call__(self, options: Mapping[str, Any], *given: Any) -> Any:
        return self._function(
            *given, **self._implied, **{name: options[name] for name in self.options & options.keys()}
        )
