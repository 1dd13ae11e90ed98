"""NumPy columns -> Arrow, for those who write tables that they computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["batch_of", "schema_of"]


def schema_of(types: Mapping[str, str]) -> pa.Schema:
    """Return the schema of columns named with the NumPy type of each.

    >>> schema_of({"image_id": "int64", "score": "float32"}).names
    ['image_id', 'score']
    """
    return pa.schema([(name, pa.type_for_alias(alias)) for name, alias in types.items()])


def batch_of(columns: Sequence[NDArray[Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Return arrays of one length as a batch; each takes the type of its column, rounded where it must be.

    >>> import numpy as np
    >>> batch_of([np.array([0.1, 0.2])], schema_of({"score": "float32"})).num_rows
    2
    """
    arrays = [
        pa.array(column.astype(field.type.to_pandas_dtype(), copy=False))
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
