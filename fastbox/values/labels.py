"""Ids and classes: read exactly or refused, joined exactly, and told apart by codes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastbox.values.numbers import as_array, is_missing, shown

__all__ = [
    "Codes",
    "as_ids",
    "as_labels",
    "check_kinds",
    "codes_of",
    "first_seen",
    "kind_of",
    "once",
    "place_of",
    "union",
]

DENSE = 1 << 20  # a span of integers up to this size is coded by a table of the whole span
FIRST = 1 << 13  # rows in which all integers are looked for before the others
WIDE = 64  # letters: text of a fixed width is fastest up to this width, and wastes memory beyond
LEAST, MOST = -(2**63), 2**63 - 1


def as_labels(values: Any, name: str, n: int | None = None) -> NDArray[Any]:
    """Read ids or classes of shape (n,): integers in an integer dtype that holds them all, or text.

    ``n`` is only for messages: the caller checks the number of labels.

    Text is of NumPy's fixed width, or Python's strings where one is long or ends in a letter that NumPy drops.
    Integers that no dtype holds are Python's.

    Raises
    ------
    ValueError
        A missing value, a masked one, or another shape.
    TypeError
        Values that are neither integers nor text, or some of both.

    Examples
    --------
    >>> as_labels([7, 2**63], "classes")
    array([                  7, 9223372036854775808], dtype=uint64)
    >>> as_labels(["a", "b"], "classes")
    array(['a', 'b'], dtype='<U1')
    """
    if (texts := _texts(values)) is not None:
        return _as_text(texts)
    array = as_array(values, name)
    if array.ndim == 0:
        raise TypeError(f"expected {name} as a list or an array, got {shown(values)}: give one value per box")
    if array.ndim != 1:
        raise ValueError(f"expected {name} of shape ({'n' if n is None else n},), got {array.shape}")
    kind = array.dtype.kind
    if not len(array):
        return np.zeros(0, np.int64)
    if kind == "i" or (kind == "u" and array.max() <= MOST):
        return array.astype(np.int64, copy=False)
    if kind == "u" or (kind == "U" and isinstance(values, np.ndarray)):
        return array
    if kind in "OT" or not isinstance(values, np.ndarray):
        # Lists are read once more: NumPy makes text of a number among texts, and a float of an integer beside None.
        listed = array if kind in "OT" else values
        own = next((getattr(listed, name) for name in ("tolist", "to_pylist") if hasattr(listed, name)), None)
        return _of_objects(list(values) if own is None else own(), name)
    if kind in "fmM":
        _refuse_missing(array, name)
    if kind == "f" and len(odd := np.flatnonzero(np.isfinite(array) & (array != np.floor(array)))):
        raise TypeError(f"expected {name} of integers or strings, got {array[odd[0]]} at row {odd[0]}: {_other(name)}")
    raise TypeError(f"expected {name} of integers or strings, got dtype {array.dtype}: {_cast(kind, name)}")


def as_ids(values: Any, name: str, n: int | None = None) -> NDArray[Any]:
    """Read ids as :func:`as_labels` does, int64 or text, as tables hold them.

    Raises
    ------
    ValueError, TypeError
        The errors of :func:`as_labels`, and integers beyond int64.
    """
    labels = as_labels(values, name, n)
    if kind_of(labels) == "integers" and labels.dtype != np.int64:
        row = next(row for row, value in enumerate(labels.tolist()) if not LEAST <= value <= MOST)
        came = f"{labels[row]} at row {row}"
        raise ValueError(f"expected {name} from -2**63 to 2**63 - 1, got {came}: give them as strings")
    return labels


def _as_text(items: Sequence[str]) -> NDArray[Any]:
    """Return strings as an array, as :func:`as_labels` does."""
    wide = max(map(len, items), default=0) > WIDE or any("\0" in item for item in items)
    # Members of enumerations are strings whose text NumPy takes for their names.
    plain = [item if type(item) is str else str.__str__(item) for item in items]
    return np.array(plain, object if wide else np.str_)


def kind_of(labels: NDArray[Any]) -> str | None:
    """Return ``"integers"`` or ``"strings"``; None without labels."""
    if not len(labels):
        return None
    text = labels.dtype.kind == "U" or isinstance(labels[0], str)
    return "strings" if text else "integers"


def place_of(label: Any, labels: NDArray[Any], side: Literal["left", "right"] = "left") -> int:
    """Return the place of a label among ascending labels, as NumPy's ``searchsorted`` does.

    ``searchsorted`` itself drops a letter 0 at the end of a text, and so takes ``"a\\0"`` for ``"a"``.

    >>> place_of("a\\0", np.array(["a", "a\\0"], object))
    1
    """
    return (bisect_left if side == "left" else bisect_right)(labels, label)


def union(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the ids of two arrays, ascending, each once; both arrays are int64, or both text.

    >>> union(np.array([3, 9]), np.array([4, 9]))
    array([3, 4, 9])
    """
    return b if not len(a) else a if not len(b) else once(np.concatenate((a, b)))


def once(values: NDArray[Any]) -> NDArray[Any]:
    """Return the values of an array, ascending, each once; unlike ``np.unique``, without an import of ``numpy.ma``.

    >>> once(np.array([4, 3, 4]))
    array([3, 4])
    """
    ordered = np.sort(values, kind="stable")  # merges ascending parts in one pass
    first: NDArray[np.bool_] = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return ordered[first]


def check_kinds(columns: Sequence[NDArray[Any]], names: Sequence[str]) -> None:
    """Raise ValueError if one column of labels has integers and another text."""
    kinds = [(kind_of(column), name) for column, name in zip(columns, names, strict=True)]
    given = [(kind, name) for kind, name in kinds if kind is not None]
    for kind, name in given:
        if kind != given[0][0]:
            came = f"{given[0][0]} in {given[0][1]} and {kind} in {name}"
            raise ValueError(f"expected {given[0][1]} and {name} of one kind, got {came}: cast one of them")


def codes_of(*columns: NDArray[Any], names: Sequence[str] = ()) -> list[NDArray[np.int64]]:
    """Return columns of labels as codes that are the same for all of them.

    Raises
    ------
    ValueError
        One column has integers, another text.

    Examples
    --------
    >>> codes_of(np.array([5, 2**62 + 1]), np.array([2**62 + 1], np.uint64))
    [array([0, 1]), array([1])]
    """
    if names:
        check_kinds(columns, names)
    codes = Codes()
    return [codes.of_column(column) for column in columns]


class Codes:
    """Labels, integers or strings, each with a code: its place in the order of first appearance.

    Raises
    ------
    ValueError
        Labels of two kinds.

    Examples
    --------
    >>> codes = Codes()
    >>> codes.of_column(np.array([7, 3, 7])), codes.labels
    (array([1, 0, 1]), [3, 7])
    """

    def __init__(self, labels: Iterable[Any] = (), name: str = "labels") -> None:
        self.labels: list[Any] = []
        self._name = name
        self._code: dict[Any, int] = {}
        self._ascending: tuple[list[Any], NDArray[np.int64]] | None = None
        self.of(labels)

    def of(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """Return the codes of labels; a new label gets the next code."""
        found = []
        for label in labels:
            if label not in self._code:
                self._check(label)
                self._code[label] = len(self.labels)
                self.labels.append(label)
                self._ascending = None
            found.append(self._code[label])
        return np.array(found, np.int64)

    def of_column(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """Return the codes of a column of labels."""
        if (span := _span(column)) is not None:
            low, places, width = span
            seen = np.zeros(width, np.bool_)
            seen[places] = True
            present = np.flatnonzero(seen)
            code = np.empty(width, np.int64)
            code[present] = self.of([low + place for place in present.tolist()])
            found: NDArray[np.int64] = code[places]
            return found
        labels, places = np.unique(column, return_inverse=True)
        return self.of(labels.tolist())[places.reshape(-1)]

    def ascending(self) -> tuple[list[Any], NDArray[np.int64]]:
        """Return the labels in ascending order, and the place of each code in that order."""
        if self._ascending is None:
            order = sorted(range(len(self.labels)), key=lambda code: self.labels[code])
            places = np.empty(len(order), np.int64)
            places[order] = np.arange(len(order))
            self._ascending = [self.labels[code] for code in order], places
        return self._ascending

    def code(self, label: Any) -> int | None:
        """Return the code of a label; None for an unknown label."""
        return self._code.get(label)

    def __len__(self) -> int:
        return len(self.labels)

    def _check(self, label: Any) -> None:
        if self.labels and isinstance(label, str) != isinstance(self.labels[0], str):
            came = f"{self.labels[0]!r} and {label!r}"
            raise ValueError(f"expected {self._name} of one kind, got {came}: cast all of them alike")
        if self.labels and (label is None) != (self.labels[0] is None):
            raise ValueError(f"expected {self._name} everywhere or nowhere, got some sets with and some without")


def first_seen(column: NDArray[Any]) -> tuple[NDArray[np.int64], list[int]] | None:
    """Return integers as codes in the order of their first rows, and the integers; None if they span too wide a range.

    >>> first_seen(np.array([9, 4, 9]))
    (array([0, 1, 0]), [9, 4])
    """
    span = _span(column)
    if span is None:
        return None
    low, places, width = span
    first, there = np.full(width, -1), np.zeros(width, np.bool_)
    there[places] = True
    present = np.flatnonzero(there)
    for count in (FIRST, len(column)):  # the first rows have most often all integers
        first[places[:count][::-1]] = np.arange(len(places[:count]))[::-1]  # the assignment that is last wins
        if first[present].min() >= 0:
            break
    ordered = present[np.argsort(first[present])]
    code = np.empty(width, np.int64)
    code[ordered] = np.arange(len(ordered))
    return code[places], [low + place for place in ordered.tolist()]


def _span(column: NDArray[Any]) -> tuple[int, NDArray[Any], int] | None:
    """Return the least integer, the distance of each integer to it, and the width of a table of all distances.

    Without integers, or if the table would be too wide, return None.
    """
    if column.dtype.kind not in "iu" or not len(column):
        return None
    low, width = int(column.min()), int(column.max()) - int(column.min()) + 1
    wide = column if column.dtype.kind == "u" else column.astype(np.int64, copy=False)  # int8 would wrap around
    return (low, wide - low, width) if width <= DENSE else None


def _texts(values: Any) -> list[str] | None:
    """Return strings in a list, a tuple or a polars series as a list; None for any other values."""
    if not isinstance(values, list | tuple) and hasattr(getattr(values, "dtype", None), "is_integer"):
        values = None if values.dtype.is_integer() else values.to_list()
    return list(values) if isinstance(values, list | tuple) and set(map(type, values)) == {str} else None


def _of_objects(items: Sequence[Any], name: str) -> NDArray[Any]:
    first, kinds = items[0], set(map(type, items))
    if kinds not in ({int}, {str}):
        _refuse_missing(items, name)
    for row, item in enumerate(items) if kinds not in ({int}, {str}) else ():
        if not isinstance(item, int | str | np.integer) or isinstance(item, bool):
            dtype = np.asarray(item).dtype
            came = f"dtype {dtype} ({item!r} at row {row})"
            odd = any(isinstance(one, float) and one % 1 for one in items)
            advice = _other(name) if odd else _cast(dtype.kind, name)
            raise TypeError(f"expected {name} of integers or strings, got {came}: {advice}")
        if isinstance(item, str) != isinstance(first, str):
            came = f"{first!r} at row 0 and {item!r} at row {row}"
            raise TypeError(f"expected {name} of integers or of strings, got {came}: cast all of them alike")
    if isinstance(first, str):
        return _as_text(items)
    whole = [int(item) for item in items]
    low, high = min(whole), max(whole)
    held = np.int64 if low >= LEAST and high <= MOST else np.uint64 if low >= 0 and high < 2**64 else object
    return np.array(whole, held)


def _refuse_missing(items: Iterable[Any], name: str) -> None:
    for row, item in enumerate(items):
        if is_missing(item):
            came = f"{item!r} at row {row}"
            raise ValueError(f"expected {name} without missing values, got {came}: fill it or drop the row")


def _other(name: str) -> str:
    """Return advice for fractions, which no cast turns into ids or classes."""
    return f"give the {name}, not the scores"


def _cast(kind: str, name: str) -> str:
    """Return advice for labels of a dtype that holds neither integers nor text."""
    if kind == "S":
        return f"decode them, as with np.char.decode({name})"
    return f"cast them, as with np.asarray({name}).astype({'int' if kind in 'fb' else 'str'})"
