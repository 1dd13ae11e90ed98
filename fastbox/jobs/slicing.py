"""The groups of images and truths of an evaluation of tables: their columns, and the group of each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.columns import coded_column, number_column
from fastbox.boxes.found import frames
from fastbox.datasets.as_source import Given, images_of
from fastbox.errors import InputError, advice, did_you_mean
from fastbox.evaluation.groups import IMAGES, MOST_GROUPS, TRUTHS, Grouping, Groups, coded_values, too_many
from fastbox.evaluation.matching import words_shape
from fastbox.evaluation.params import Params
from fastbox.storage.locate import find_files
from fastbox.tables.chunk import Chunk
from fastbox.tables.files import column_names
from fastbox.tables.source import Source
from fastbox.tables.stream import scan
from fastbox.values.groups import values_of_rows
from fastbox.values.names import SIZE_COLUMNS

__all__ = ["Slicing"]

table_columns = deferred("fastbox.tables.columns")

CROWDING = {"0": 0, "1 to 4": 1, "5 to 9": 5, "10 to 19": 10, "20 to 49": 20, "50 or more": 50}  # truths of an image
BORDER = ("border", "inside", None)  # None: the size of the image is not known
NEAR = 1.0  # pixels from the border of an image at which a truth touches it
NESTED = ("list", "large_list", "fixed_size_list", "struct", "map")  # types without single values
FURTHER = ("crowding", "border")  # groups that are made from the boxes


@dataclass
class Listed:
    """Values by image: ascending ids, and for each a code or a number."""

    ids: NDArray[Any]
    values: NDArray[Any]

    def of(self, images: NDArray[Any], missing: Any) -> NDArray[Any]:
        """Return the values of images."""
        if not len(self.ids):
            return np.full(len(images), missing, self.values.dtype)
        places = np.searchsorted(self.ids, images).clip(0, len(self.ids) - 1)
        found: NDArray[Any] = np.where(self.ids[places] == images, self.values[places], missing)
        return found


@dataclass
class Slicing:
    """The groups of an evaluation, and what tells the group of each image and truth.

    Attributes
    ----------
    groups : Groups
    columns : list of str
        The columns of truths that are read row by row.
    listed : dict of str to Listed
        The codes of images by the name of their column; the last code is that of images that are not listed.
    sizes : two Listed, optional
        Widths and heights of images.
    """

    groups: Groups = field(default_factory=Groups)
    columns: list[str] = field(default_factory=list)
    listed: dict[str, Listed] = field(default_factory=dict)
    sizes: list[Listed] = field(default_factory=list)

    @classmethod
    def of(cls, names: Sequence[str], truths: Source, images_table: Given | None) -> Slicing:
        """Find the columns of groups: of truths, of the table of images, or made from the boxes.

        Raises
        ------
        InputError
            An unknown column, or one with too many values.
        """
        made = cls()
        if not names and images_table is not None:
            how = advice("--slice-by COLUMN", "slice_by=[COLUMN]")
            raise InputError(f"expected columns to slice by beside a table of images, got none: name them with {how}")
        if not names:
            return made
        table = images_of(images_table, truths)
        own, its = column_names(truths.path), [] if table is None else column_names(table.path)
        every = list(dict.fromkeys(names))
        for name in every:
            if name not in (*own, *its, *FURTHER):
                known = ", ".join(dict.fromkeys((*its, *own, *FURTHER)))
                how = advice("--images-table TABLE", "images_table=TABLE")
                fix = "" if table is not None else f"; a table of images is named with {how}"
                hint = did_you_mean(name, [*own, *its, *FURTHER])
                raise InputError(f"expected columns to slice by of {known}, got {name!r}{hint}{fix}")
        groupings = _by_truths(made, [name for name in every if name in own], truths)
        if table is not None:
            groupings |= _by_images(made, [name for name in every if name in its and name not in own], table, truths)
        if "crowding" in every:
            groupings.setdefault("crowding", Grouping("crowding", IMAGES, tuple(CROWDING)))
        if "border" in every and "border" not in groupings:
            groupings["border"] = Grouping("border", TRUTHS, BORDER)
            made.sizes = _sizes(table, truths)
        made.groups = Groups(tuple(groupings[name] for name in every))
        return made

    def kept(self, params: Params) -> int:
        """Return the bytes that each detection takes for groups of truths."""
        return 4 * self.groups.masks * words_shape(params)[1]

    def of_chunk(
        self, chunk: Chunk, asked: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int16] | None, NDArray[np.uint32] | None]:
        """Return the codes of images and the bits of truths of a chunk, given the truths that count."""
        if not self.groups.groupings:
            return None, None
        assert chunk.b is not None and chunk.images is not None and chunk.b.offsets is not None
        of_images, of_truths = [], {}
        for own in self.groups.groupings:
            if own.of == IMAGES and own.name in self.listed:
                codes = self.listed[own.name].of(chunk.images, len(own.labels) - 1)
            elif own.of == IMAGES:
                counts = np.diff(np.concatenate(([0], np.cumsum(asked)))[chunk.b.offsets])
                codes = np.searchsorted(list(CROWDING.values()), counts, "right") - 1
            elif own.name in self.columns:
                codes = _codes(*_coded(chunk.b_columns, own.name), own.labels)
            else:
                codes = self._border(chunk)
            if own.of == IMAGES:
                of_images.append(codes.astype(np.int16))
            else:
                of_truths[own.name] = codes
        table = np.array(of_images, np.int16).reshape(len(of_images), len(chunk.images))
        return table, self.groups.bits(of_truths, len(chunk.b))

    def _border(self, chunk: Chunk) -> NDArray[np.int64]:
        """Return the place among ``BORDER`` of each truth."""
        assert chunk.b is not None and chunk.images is not None and chunk.b.offsets is not None
        width, height = (values_of_rows(own.of(chunk.images, np.nan), chunk.b.offsets) for own in self.sizes)
        x0, y0, x1, y1 = frames(chunk.b.astype(np.float64)).T
        with np.errstate(invalid="ignore"):
            near = (x0 <= NEAR) | (y0 <= NEAR) | (x1 >= width - NEAR) | (y1 >= height - NEAR)
        return np.where(np.isnan(width) | np.isnan(height), 2, np.where(near, 0, 1))


def _by_truths(made: Slicing, names: Sequence[str], truths: Source) -> dict[str, Grouping]:
    """Read columns of truths: one that has a single value in each image groups images, another one groups truths."""
    if not names:
        return {}
    values: dict[str, dict[Any, int]] = {name: {} for name in names}
    first: dict[str, list[NDArray[np.int64]]] = {name: [] for name in names}
    apart, ids = set(), []
    whole = replace(truths, fragment=None, columns=())
    for chunk in scan(Source.carrying(whole, *names)):
        assert chunk.images is not None and chunk.a.offsets is not None
        there = np.diff(chunk.a.offsets) > 0
        ids.append(chunk.images[there])
        for name in names:
            own = _more(values[name], *_coded(chunk.a_columns, name), name)
            firsts = own[chunk.a.offsets[:-1][there]]
            first[name].append(firsts)
            if not np.array_equal(np.repeat(firsts, np.diff(chunk.a.offsets)[there]), own):
                apart.add(name)
    found = {}
    for name in names:
        order, labels = coded_values(list(values[name]))
        if name in apart or not ids:
            made.columns.append(name)
            found[name] = Grouping(name, TRUTHS, labels)
        else:
            found[name] = _listed(made, name, (np.concatenate(ids), np.concatenate(first[name])), (order, labels))
    return found


def _by_images(made: Slicing, names: Sequence[str], table: Source, truths: Source) -> dict[str, Grouping]:
    """Read columns of a table of images."""
    values: dict[str, dict[Any, int]] = {name: {} for name in names}
    parts: dict[str, list[NDArray[np.int64]]] = {name: [] for name in names}
    ids: list[Any] = []
    for _, _, batch in table_columns.read_batches(find_files(table.path), [str(table.image), *names]) if names else ():
        ids += _ids(batch, table)
        for name in names:
            parts[name].append(_more(values[name], *_coded(batch, name), name))
    found = {}
    for name in names:
        order, labels = coded_values(list(values[name]))
        found[name] = _listed(made, name, (_as_ids(ids), np.concatenate(parts[name])), (order, labels))
    return found


def _listed(
    made: Slicing,
    name: str,
    given: tuple[NDArray[Any], NDArray[np.int64]],
    ranked: tuple[NDArray[np.int64], tuple[Any, ...]],
) -> Grouping:
    """Keep the codes of images by their ids; images that are not listed have no value, which is the last label."""
    ids, codes = given
    order, labels = ranked
    distinct, places = np.unique(ids, return_index=True)
    made.listed[name] = Listed(distinct, order[codes[places]])
    return Grouping(name, IMAGES, labels if None in labels else (*labels, None))


def _sizes(table: Source | None, truths: Source) -> list[Listed]:
    """Read the widths and heights of images."""
    its = [] if table is None else column_names(table.path)
    if table is None or not set(SIZE_COLUMNS) <= set(its):
        how = advice("--images-table TABLE", "images_table=TABLE")
        raise InputError(f"expected columns width and height of images for the border, got none: give them with {how}")
    ids: list[Any] = []
    sides: list[list[NDArray[np.float64]]] = [[], []]
    for _, _, batch in table_columns.read_batches(find_files(table.path), [str(table.image), *SIZE_COLUMNS]):
        ids += _ids(batch, table)
        for side, name in zip(sides, SIZE_COLUMNS, strict=True):
            side.append(number_column(batch, name, missing=np.nan).astype(np.float64))
    distinct, places = np.unique(_as_ids(ids), return_index=True)
    return [Listed(distinct, np.concatenate([*side, np.zeros(0)])[places]) for side in sides]


def _ids(batch: Any, table: Source) -> list[Any]:
    codes, labels = coded_column(batch, str(table.image))
    if len(codes) and codes.min() < 0:
        where = f"column {table.image!r} of {find_files(table.path)[0]}"
        raise InputError(f"expected an image id in each row, got a null in {where}: fill or drop it")
    return [labels[code] for code in codes.tolist()]


def _as_ids(ids: Sequence[Any]) -> NDArray[Any]:
    return np.array(ids) if ids else np.zeros(0, np.int64)


def _coded(batch: Any, name: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return the codes of a column, -1 for a null, and its values; None for nan."""
    kind = str(batch.schema.field(name).type)
    if kind.startswith(NESTED):
        raise InputError(f"expected single values in column {name!r}, got {kind}: slice by another column")
    codes, labels = coded_column(batch, name)
    return codes, [_value(label) for label in labels]


def _more(values: dict[Any, int], codes: NDArray[np.int64], labels: Sequence[Any], name: str) -> NDArray[np.int64]:
    """Return the codes of rows among all values of a column; new values, and null, get one."""
    own = [values.setdefault(label, len(values)) for label in labels]
    own.append(values.setdefault(None, len(values)) if len(codes) and codes.min() < 0 else -1)
    if len(values) > MOST_GROUPS:
        raise InputError(too_many(name, len(values)))
    return np.array(own, np.int64)[codes]


def _codes(codes: NDArray[np.int64], labels: Sequence[Any], known: Sequence[Any]) -> NDArray[np.int64]:
    """Return the places of a column's values among the known ones."""
    places = {label: place for place, label in enumerate(known)}
    return np.array([*(places[label] for label in labels), places.get(None, -1)], np.int64)[codes]


def _value(label: Any) -> Any:
    """Return a value as JSON holds it, None for nan."""
    if isinstance(label, str | int | float):
        return None if label != label else label
    return None if label is None else str(label)
