"""The tables of an evaluation: the columns that are read, the classes of both sides, and likely mistakes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.arrays import id_kind
from fastbox.arrow.columns import coded_column
from fastbox.datasets.as_source import listed_ids
from fastbox.errors import InputError, advice
from fastbox.evaluation.alike import alike, apart
from fastbox.evaluation.mismatch import Mismatch
from fastbox.evaluation.params import Params
from fastbox.jobs.checks import check_flags, check_images, check_labels, check_numbers
from fastbox.report.numbers import counted
from fastbox.storage.locate import find_files
from fastbox.tables.chunk import Chunk
from fastbox.tables.class_names import JoinedClasses, joined_classes, kind_of_classes, names_of
from fastbox.tables.files import column_names
from fastbox.tables.source import Plan, Source
from fastbox.values.groups import values_of_rows

__all__ = ["Read", "check_listed", "dropped", "further_columns", "has", "joined", "unfit"]

table_columns = deferred("fastbox.tables.columns")
fragments = deferred("fastbox.tables.fragments")

MODELS = ("model", "models", "model_id", "run", "runs", "run_id", "detector", "experiment", "method", "checkpoint")
DROPPED = {"images": "truths of images", "classes": "truths of classes", "detections": "detections of classes"}
SHOWN = 3


@dataclass
class Read:
    """The files, columns and classes that an evaluation reads.

    Attributes
    ----------
    files : (str, str)
        The first file of the detections and of the truths.
    columns : dict of str to (str or None)
        The columns of scores, classes and image ids, and the further columns that the truths have.
    boxes : dict of str to dict
        The columns and the format of the boxes of ``detections`` and ``truths``.
    listed, classes : array and set, or None
        The images and classes that the truths' file lists; None without a list.
    named : set
        The classes that have names in the truths' files, which may also be in the footer of a table.
    notes : list of str
        Sentences on likely mistakes that the tables show before they are read.
    dropped : dict of str to int
        Truths of ``images`` and of ``classes`` that are not listed, and ``detections`` of such classes.
    """

    files: tuple[str, str]
    columns: dict[str, str | None]
    boxes: dict[str, dict[str, str]]
    listed: NDArray[Any] | None = None
    classes: set[Any] | None = None
    named: set[Any] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DROPPED, 0))

    @classmethod
    def of(
        cls,
        sources: tuple[Source, Source],
        plans: Sequence[Plan],
        columns: Mapping[str, str | None],
        joined: JoinedClasses,
        by: str | None,
    ) -> Read:
        """Collect the facts of the tables before they are read."""
        files = plans[0].files[0], plans[1].files[0]
        boxes = {
            side: {"columns": ", ".join(found.boxes.names), "format": found.boxes.format}
            for side, found in zip(("detections", "truths"), plans, strict=True)
        }
        found = cls(files, {**columns, "image": str(sources[1].image)}, boxes, listed_ids(sources[1]))
        if columns["class"] is not None:
            names = names_of(plans[1].files)
            integers = id_kind(plans[1].columns.field(columns["class"]).type, columns["class"], files[1]) == "integer"
            found.named = {int(name) if integers else name for name in names}
            found.classes = found.named or None if found.listed is not None else None
        if joined.by_name:
            found.notes.append(f"{files[0]} and {files[1]} number their classes differently: they are joined by name")
            for file, alone in zip(files, joined.alone, strict=True):
                if alone:
                    some = ", ".join(map(repr, alone[:SHOWN])) + (", …" if len(alone) > SHOWN else "")
                    fix = "rename them if the other table has other names for them"
                    found.notes.append(f"only {file} has classes with the names {some}: {fix}")
        if by is None:
            used = {
                sources[0].image,
                *plans[0].boxes.names,
                *(sources[0].own(name) for name in columns.values() if name),
            }
            found.notes += _models(sources[0], files[0], used)
        return found

    def __add__(self, other: Read) -> Read:
        dropped = {name: count + other.dropped[name] for name, count in self.dropped.items()}
        return replace(self, dropped=dropped)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {"columns": self.columns, "boxes": self.boxes, "dropped": self.dropped}

    @property
    def sentences(self) -> list[str]:
        """Sentences on likely mistakes, and on boxes that were left out."""
        ends = f"that {self.files[1]} does not list", "left out, as pycocotools does"
        left_out = [
            f"{counted(count, DROPPED[name])} {ends[0]} {'is' if count == 1 else 'are'} {ends[1]}"
            for name, count in self.dropped.items()
            if count
        ]
        return [*self.notes, *left_out]


def further_columns(params: Params, truths: Source) -> dict[str, str | None]:
    """Return the further columns of truths that the rules read, None where the benchmark's own is not there.

    Refuses a filter by a column that the truths lack.
    """
    names = column_names(truths.path)
    for name in params.numbers:
        if name not in names and name not in params.record.numbers:
            known = ", ".join(names)
            file = find_files(truths.path)[0]
            raise InputError(f"expected column {name!r} of the filter in {file}, got {known}: name one of these")
    return {name: name if name in names else None for name in params.numbers}


def has(detections: Source, truths: Source, column: str) -> bool:
    """Tell whether both tables have a column."""
    return all(table.own(column) in column_names(table.path) for table in (detections, truths))


def joined(
    plans: Sequence[Plan], score: str, label: str | None, by: str | None, there: Mapping[str, str | None]
) -> JoinedClasses:
    """Join the classes of both tables; refuses tables without image ids, and columns without numbers or labels."""
    check_images(plans, "detections are evaluated")
    kind_of_all = None if label is None else kind_of_classes(plans, label)
    check_labels(plans[0], by)
    check_numbers(plans[0], score)
    check_numbers(plans[1], *(name for purpose, name in there.items() if purpose not in ("crowd", "ignore")))
    check_flags(plans[1], there["crowd"], there["ignore"])
    return joined_classes([found.files for found in plans], kind_of_all, first=1)


def check_listed(chunk: Chunk, listed: NDArray[Any], where: str) -> None:
    """Refuse detections of an image that COCO's list of images lacks: they belong to another data set."""
    assert chunk.images is not None and chunk.a.offsets is not None
    unknown = ~np.isin(chunk.images, listed) & (np.diff(chunk.a.offsets) > 0)
    if unknown.any():
        if not len(listed):
            raise InputError(f"expected the images of {where} in its list images, got no image: add them")
        image = chunk.images[np.argmax(unknown)]
        fix = alike([image], listed.tolist()) if isinstance(image, str) else None
        raise InputError(
            f"expected detections of images that {where} lists, got some of image {image}: "
            f"{fix or 'add the image to its list, or leave its detections out'}"
        )


def dropped(
    chunk: Chunk, read: Read, kinds: NDArray[np.int64], truth_kinds: NDArray[np.int64], labels: list[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Count and return the detections and truths of a chunk whose image or class is not listed."""
    assert chunk.images is not None and chunk.b is not None and chunk.b.offsets is not None
    away = np.zeros(len(chunk.a), np.bool_)
    if read.listed is None:
        return away, np.zeros(len(chunk.b), np.bool_)
    out = values_of_rows(~np.isin(chunk.images, read.listed), chunk.b.offsets)
    read.dropped["images"] += int(np.count_nonzero(out))
    if read.classes is not None:
        unknown = np.array([label not in read.classes for label in labels], np.bool_)
        away, other = unknown[kinds], unknown[truth_kinds] & ~out
        read.dropped["classes"] += int(np.count_nonzero(other))
        read.dropped["detections"] += int(np.count_nonzero(away))
        out |= other
    return away, out


def unfit(mismatch: Mismatch, classes: tuple[list[Any], list[Any]] | None, read: Read) -> str:
    """Say with examples that both sides have no image in common, no class, or only few classes without names.

    Classes of both sides are given if classes are kept apart. The text is empty if both sides fit.
    """
    if read.listed is None and mismatch.images.are_apart():
        return f"expected images that both tables have, got none: {mismatch.images.ids_of_both(read.files)}"
    if classes is None:
        return ""
    told = bool(read.named) or any(isinstance(label, str) for label in classes[0])
    found = apart(*classes, read.named, told=told)
    if found is None:
        return ""
    met = f"{found.both} of {found.fewer}" if found.both else "none"
    how = advice("--class-agnostic", "params=Params(class_agnostic=True)")
    return (
        f"expected classes that both tables have, got {met}: {found.detections} in {read.files[0]} and "
        f"{found.truths} in {read.files[1]}: number or name the classes of both alike, or match boxes of any "
        f"class with {how}"
    )


def _models(source: Source, file: str, used: Collection[str | None]) -> list[str]:
    """Find a column that looks like the labels of models, has several values, and is not used."""
    for name in column_names(source.path):
        alike = name not in used and re.sub(r"[\W_]+", "_", name.lower()).removesuffix("_name") in MODELS
        low, high = _extremes(source.path, name) if alike else (None, None)
        if low != high:
            return [
                f"column {name!r} of {file} has several values ({low!r} to {high!r}) that were evaluated as one model: "
                f"evaluate each by itself with {advice(f'--by {shlex.quote(name)}', f'by={name!r}')}"
            ]
    return []


def _extremes(path: Any, name: str) -> tuple[Any, Any]:
    """Return the least and the greatest label of a column by the footers, else any two different labels."""
    low, high = fragments.extremes(path, name)
    if low is not None:
        return low, high
    seen: set[Any] = set()
    for _, _, batch in table_columns.read_batches(find_files(path), [name]):
        try:
            id_kind(batch.schema.field(name).type, name, "")
        except InputError:
            return None, None
        seen.update(coded_column(batch, name)[1])
        if len(seen) > 1:
            return min(seen), max(seen)
    return None, None
