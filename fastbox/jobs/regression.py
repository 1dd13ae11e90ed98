"""Move made-up boxes to their targets by gradient descent on each loss, and write how near they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from fastbox.arrow.columns import batch_of, schema_of
from fastbox.experiments.regression import LOSSES, Regression, descend, draw
from fastbox.jobs.base import Output
from fastbox.storage.outputs import check_outputs
from fastbox.values.arguments import checked
from fastbox.values.numbers import as_choice, as_whole

__all__ = ["regression"]


@checked
def regression(
    out: str | os.PathLike[str] | None = None,
    *,
    points: int = 5000,
    steps: int = 200,
    losses: Sequence[str] = LOSSES,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Regression:
    """Move boxes to their targets by gradient descent on each loss: Zheng et al., AAAI 2020, section 3, algorithm 1.

    Seven targets of area 1 and width to height 1:4, 1:3, 1:2, 1:1, 2:1, 3:1 and 4:1 lie around (10, 10). Around each
    point of the circle of radius 3, drawn uniformly, begin boxes of the same seven ratios and areas 0.5, 0.67, 0.75, 1,
    1.33, 1.5 and 2. Each goes its own way to each target, B = (x, y, w, h) of centre and sides: B becomes
    B - rate (2 - IoU) dL/dB, with a rate of 0.1 for the first 80 % of the steps, of 0.01 up to 90 % and 0.001 from
    there on. The error of a case is the sum of the four distances |B - target|.

    All gradients are the exact ones, with the weight of CIoU's aspect ratios a constant. The code published with the
    paper takes others: CIoU's are not divided by w² + h², as the paper says; those of overlaps by the sides are twice
    as large; and for GIoU the intersection of boxes that lie apart is not set to 0, which keeps many of them from
    arriving: here GIoU arrives. What the paper leaves open is a side that a step would make negative: none falls
    below 2^-10.
    ``smooth_l1`` is of the four numbers, at beta 1, with the same steps.

    Parameters
    ----------
    out : path, optional
        A Parquet file of the points: x, y, and the mean final error of the cases at each, a column for each loss.
    points : int
        How many; with 5000 there are 1,715,000 cases. The first points are the same for any number of them.
    steps : int
        How many steps each case takes.
    losses : sequence of str
        Of smooth_l1, iou, giou, diou, ciou and eiou.
    seed : int
        Not negative; another seed draws other points.
    progress : callable, optional
        Called with the number of cases done since the last call, a case of each loss for one; from any thread.

    Returns
    -------
    Regression
        The same bits for any number of threads: errors are added up in blocks of points, these in their order.

    Raises
    ------
    ValueError
        An unknown loss or none, no points, no steps, or a negative seed.
    InputError
        The output can't be written there.

    Examples
    --------
    >>> found = regression(points=1, steps=2, losses=["giou"])
    >>> found.losses["giou"].curve.shape, found.to_dict()["cases"]
    ((3,), 343)
    """
    points, steps, seed = as_whole(points, "points", 1), as_whole(steps, "steps", 1), as_whole(seed, "seed")
    names = [as_choice(name, LOSSES, "losses") for name in dict.fromkeys(losses)]
    if not names:
        raise ValueError(f"expected losses of {', '.join(LOSSES)}, got none")
    check_outputs([], {"out": out})
    x, y = draw(points, seed)
    found = Regression(points, steps, seed, x, y)
    schema = schema_of(dict.fromkeys(["x", "y", *names], "float64"))
    parameters = {"points": points, "steps": steps, "losses": names, "seed": seed}
    with Output(out, schema, command="experiment regression", parameters=parameters) as output:
        for name in names:
            found.losses[name] = descend(name, x, y, steps, progress)
        output.write(batch_of, list(found.columns().values()), schema)
        output.finish(found)
    return found
