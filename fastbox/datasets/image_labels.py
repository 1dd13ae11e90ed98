"""Image-level labels and hierarchies of classes, as Open Images has them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.arrow.columns import coded_column, number_column
from fastbox.errors import InputError
from fastbox.storage.backed import Scratch
from fastbox.tables.frames import is_frame, table_of
from fastbox.tables.separated import is_separated, read_separated
from fastbox.values.names import CLASS, IMAGE, SCORE, column_of

__all__ = ["image_labels", "parents_of"]

pq = deferred("pyarrow.parquet")

Labels: TypeAlias = dict[Any, list[Any]]


def image_labels(given: Any) -> tuple[Labels, Labels]:
    """Read a table of verified labels, one image and class a row: return those that are there, and those that are not.

    Parameters
    ----------
    given : path, frame, Arrow table or dict
        CSV with a header or Parquet, with columns of images and classes (``ImageID``, ``LabelName``), and of
        ``Confidence``: 0 where the image does not have the class; all classes are there without it.

    Raises
    ------
    InputError
        A table without these columns, or with a null in one.

    Examples
    --------
    >>> image_labels({"ImageID": ["a", "a"], "LabelName": ["cat", "dog"], "Confidence": [1, 0]})
    ({'a': ['cat']}, {'a': ['dog']})
    """
    table, where = _table(given)
    image, label, confidence = (column_of(table.column_names, usual, where) for usual in (IMAGE, CLASS, SCORE))
    if image is None or label is None:
        raise InputError(
            f"expected columns ImageID and LabelName of verified labels in {where}, got "
            f"{', '.join(table.column_names)}: name them so"
        )
    present: Labels = {}
    negative: Labels = {}
    for batch in table.to_batches():
        ids, kinds = (_values(batch, name, where) for name in (image, label))
        has = [True] * len(batch) if confidence is None else (number_column(batch, confidence) > 0).tolist()
        for own, kind, there in zip(ids, kinds, has, strict=True):
            (present if there else negative).setdefault(own, []).append(kind)
    return present, negative


def parents_of(given: Any) -> Mapping[Any, Collection[Any]]:
    """Return the classes directly above each class: as given, or of a JSON file.

    Parameters
    ----------
    given : path or mapping of class to a collection of classes
        JSON of Open Images, nested objects with ``LabelName`` and ``Subcategory`` whose root is no class; or JSON of an
        object with the list of parents of each class.

    Raises
    ------
    InputError
        Another file.
    """
    if isinstance(given, Mapping):
        return given
    wanted = "JSON of a hierarchy, with LabelName and Subcategory, or with a list of parents for each class"
    try:
        with open(given, encoding="utf-8") as file:
            whole = json.load(file)
    except (OSError, ValueError) as error:
        raise InputError(f"expected {wanted}, got {given}: {error}") from None
    if isinstance(whole, dict) and "Subcategory" in whole:
        found: Labels = {}
        for node in whole["Subcategory"]:
            for label, parent in _edges(node):
                found.setdefault(label, []).append(parent)
        return found
    if not isinstance(whole, dict) or not all(isinstance(parents, list) for parents in whole.values()):
        raise InputError(f"expected {wanted}, got something else in {given}: write one of these")
    return whole


def _edges(node: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each class below a node of Open Images' hierarchy with the class directly above."""
    for child in node.get("Subcategory", ()):
        yield child["LabelName"], node["LabelName"]
        yield from _edges(child)


def _table(given: Any) -> tuple[pa.Table, str]:
    """Return a table, and its name in messages."""
    if is_frame(given):
        return table_of(given, "labels"), "labels"
    path = os.fspath(given)
    try:
        scratch = Scratch()
        return pq.read_table(read_separated(path, scratch) if is_separated(path) else path), path
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"expected a table of verified labels, CSV or Parquet, got {path}: {error}") from None


def _values(batch: pa.RecordBatch, name: str, where: str) -> list[Any]:
    codes, labels = coded_column(batch, name)
    if len(codes) and codes.min() < 0:
        raise InputError(f"expected a value in each row, got a null in column {name!r} of {where}: fill or drop it")
    return [labels[code] for code in codes.tolist()]
