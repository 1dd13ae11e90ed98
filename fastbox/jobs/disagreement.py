"""Compare distances between coordinates with overlap, on tables of pairs."""

from __future__ import annotations

from collections.abc import Callable

from fastbox.boxes.found import to_boxes
from fastbox.datasets.as_source import Given
from fastbox.experiments.disagreement import Disagreement
from fastbox.jobs.base import job
from fastbox.result import Rules
from fastbox.tables.chunk import ROWS
from fastbox.tables.columns import read_batches
from fastbox.tables.pairing import find_pairs
from fastbox.tables.source import Source
from fastbox.values.numbers import as_number_from

__all__ = ["disagreement"]


@job("pairs", by_image=False, writes=())
def disagreement(
    pairs: Given,
    *,
    pred: str | None = None,
    target: str | None = None,
    format: str | None = None,
    beta: float = 1.0,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> Disagreement:
    """Compare distances between corners with IoU and GIoU, pair by pair: Rezatofighi et al., CVPR 2019, figure 1.

    Distances are L1, L2 and Smooth L1 of the four corner coordinates, in pixels. The result has the rank correlation
    (Spearman's, from fine bins) of each distance with IoU and GIoU, over all pairs and by the target's size; the spread
    of IoU and GIoU among pairs of equal distance; and examples: two pairs with targets of one size, with L2 distances
    within 1% of each other, with IoU ≥ 0.10, and with the greatest difference of IoU.

    Parameters
    ----------
    pairs : path, directory, glob or a list of them
        Parquet files of one schema; a row has a predicted and a target box, as ``fastbox pairs --boxes`` writes them.
    pred, target, format : str, optional
        The columns of the boxes, as for :func:`fastbox.jobs.measure`.
    beta : float
        The difference, in pixels, from which Smooth L1 is linear.
    rows : int
        The number of rows to hold at once; the result is the same for any number.
    progress : callable, optional
        Called with the number of rows done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate.
    ValueError
        A negative beta.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "pairs.parquet")
    >>> far = {"pred": [[3.0, 0, 13, 10], [0.0, 0, 13, 10]], "target": [[0.0, 0, 10, 10]] * 2}
    >>> pq.write_table(pa.table(far), path)
    >>> disagreement(path).to_dict()["rank_correlation"]["l2"]["iou"]["all"]
    -1.0
    """
    beta = as_number_from(beta, "beta", 0)
    files, _, pred_at, target_at = find_pairs(Source.carrying(pairs).path, pred, target, format)
    found, before = Disagreement(rules=Rules({"beta": beta})), 0
    names = list(dict.fromkeys([*pred_at.names, *target_at.names]))
    for file, first_row, batch in read_batches(files, names, rows=rows):
        a = to_boxes(batch, pred_at, where=file, first_row=first_row)
        b = to_boxes(batch, target_at, where=file, first_row=first_row)
        found.add(a, b, before, beta)
        before += batch.num_rows
        if progress is not None:
            progress(batch.num_rows)
    return found
