"""Images without boxes in the footer of a table of boxes, which has no rows of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.datasets.dataset import IMAGES, images_schema
from fastbox.errors import InputError

__all__ = ["NUMBER", "record_of", "unlisted_in"]

NUMBER, LISTED = "images_without_boxes", "unlisted_images"  # entries of the record: their number, and the images
MOST = 100_000  # images; a footer has only the number of more images
FACTS = IMAGES[:3]  # id, width and height


def record_of(facts: NDArray[np.int64]) -> dict[str, Any]:
    """Return the entries of a footer's record for images without boxes.

    Parameters
    ----------
    facts : array of shape (3, n)
        Ids, widths and heights.

    Examples
    --------
    >>> record_of(np.array([[7], [640], [480]]))["unlisted_images"]
    {'image_id': [7], 'width': [640], 'height': [480]}
    """
    count = facts.shape[1]
    listed = {LISTED: dict(zip(FACTS, facts.tolist(), strict=True))} if count <= MOST else {}
    return {NUMBER: count, **listed} if count else {}


def unlisted_in(records: Iterable[Mapping[str, Any]], where: str) -> tuple[pa.Table | None, int]:
    """Return the images without boxes that the records of files list, and the number of those that they only count.

    Raises
    ------
    InputError
        A record is damaged; ``where`` names its file.
    """
    listed, counted = [], 0
    for record in records:
        if LISTED not in record:
            counted += record.get(NUMBER, 0)
            continue
        try:
            columns = [pa.array(record[LISTED][name], pa.int64()) for name in FACTS]
            names = pa.nulls(len(columns[0]), pa.string())
            made = pa.Table.from_arrays([*columns, names], names=list(IMAGES)).cast(images_schema(pa.int64()))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"expected a file that fastbox wrote, got {where} with a damaged record: write it again"
            ) from error
        listed.append(made)
    return (pa.concat_tables(listed) if listed else None), counted
