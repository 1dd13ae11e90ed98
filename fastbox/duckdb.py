"""The metrics as SQL functions of DuckDB: ``box_iou(a, b)`` and the others, computed by :func:`fastbox.aligned`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.arrow.arrays import array_of, one_chunk
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.kernels.metrics import METRICS
from fastbox.ops.aligned import aligned
from fastbox.values.arguments import named
from fastbox.values.formats import FORMATS, columns_of
from fastbox.values.numbers import as_choice, as_number_from, shown

__all__ = ["register"]

BOX = "DOUBLE[4]"


@named
def register(con: Any, *, format: str = "xyxy", beta: float = 1.0) -> None:
    """Register a SQL function for each metric: ``box_iou``, ``box_giou``, ``box_smooth_l1``, … of two boxes.

    The names are those of ``fastbox.METRICS`` with ``box_`` in front. Both arguments are of type ``DOUBLE[4]``, and
    DuckDB casts any list or array of four numbers: ``box_iou([a.xmin, a.ymin, a.xmax, a.ymax], b.bbox)``. The result is
    the float64 that :func:`fastbox.aligned` returns, of type ``DOUBLE``: nan for an invalid box, NULL where a box or
    one of its coordinates is NULL. Functions stay as long as the database is open; registering them again replaces
    them.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        An open connection, or the module ``duckdb`` itself.
    format : str
        The format of all boxes, in pixels: ``"xyxy"``, ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``.
    beta : float
        The distance in pixels from which ``box_smooth_l1`` is linear.

    Raises
    ------
    ValueError
        An unknown format, a negative beta, or functions that another connection to the same database registered.
    TypeError
        No connection.

    Examples
    --------
    >>> import duckdb, fastbox.duckdb
    >>> con = duckdb.connect()
    >>> fastbox.duckdb.register(con)
    >>> con.sql("SELECT box_iou([0, 0, 2, 2], [1, 0, 3, 2]) AS iou, box_l1([0, 0, 2, 2], NULL) AS l1").fetchall()
    [(0.3333333333333333, None)]
    """
    if not hasattr(con, "create_function"):
        raise TypeError(f"expected a connection of DuckDB, got {shown(con)}: open one with duckdb.connect()")
    as_choice(format, FORMATS, "a format")
    beta = as_number_from(beta, "beta", 0)
    import duckdb

    for metric in METRICS:
        name, measure = f"box_{metric}", _measure(metric, format, beta)
        with suppress(duckdb.InvalidInputException):  # there is no such function yet
            con.remove_function(name)
        try:
            con.create_function(name, measure, [BOX, BOX], "DOUBLE", type="arrow", null_handling="special")
        except duckdb.CatalogException:
            came = f"{name} of another connection: use its functions, or remove them there"
            raise InputError(f"expected a database without functions of fastbox, got {came}") from None


def _measure(metric: str, format: str, beta: float) -> Callable[[Any, Any], Any]:
    """Return the function that DuckDB calls with two Arrow columns of boxes."""

    def measure(a: Any, b: Any) -> Any:
        (boxes, given), (others, also_given) = _boxes(a, format), _boxes(b, format)
        if given is None or also_given is None:
            given = also_given if given is None else given
        else:
            given &= also_given
        return array_of(aligned(boxes, others, metric=metric, beta=beta), given)

    return measure


def _boxes(column: Any, format: str) -> tuple[Boxes, NDArray[np.bool_] | None]:
    """Return a column of fixed-size lists as boxes, and the rows that are not NULL; None if no row is."""
    lists = one_chunk(column)
    flat = lists.flatten()  # without the elements of lists that are NULL
    given = None
    if lists.null_count or flat.null_count:
        given = ~np.asarray(lists.is_null())
        quads = np.zeros((len(lists), 4))
        quads[given] = np.asarray(flat.fill_null(0)).reshape(-1, 4)
        given[given] = ~np.asarray(flat.is_null()).reshape(-1, 4).any(axis=1)
    else:
        quads = np.asarray(flat).reshape(-1, 4)
    return Boxes.of(columns_of(quads), format), given
