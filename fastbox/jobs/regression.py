"""Move synthetic boxes to their targets by gradient descent on each loss, and write the errors that remain."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from fastbox.arrow.columns import batch_of, schema_of
from fastbox.experiments.regression import LOSSES, Regression, descend, draw
from fastbox.jobs.output import Output
from fastbox.parallel import compile_together
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

    Seven targets of area 1 and width to height 1:4, 1:3, 1:2, 1:1, 2:1, 3:1 and 4:1 are centred on (10, 10). Points are
    drawn uniformly from the circle of radius 3 around it. On each point begin boxes of the same seven ratios and of
    areas 0.5, 0.67, 0.75, 1, 1.33, 1.5 and 2. A case is the descent of one box to one target. B = (x, y, w, h) is the
    centre and the sides of the box; a step replaces B by B - rate (2 - IoU) dL/dB. The rate is 0.1 for the first 80% of
    the steps, 0.01 up to 90%, and 0.001 after that. The error of a case is the sum of the four distances |B - target|.

    All gradients are exact; the weight of CIoU's aspect ratios is a constant. The code published with the paper has
    other gradients: those of CIoU are not divided by w² + h², although the paper says so; those of overlaps
    with respect to the sides are twice as large; and for GIoU the intersection of boxes without overlap is not set to
    0, so that many of these boxes do not reach their targets. With the exact gradients of GIoU they do. The paper does
    not define the result of a step that makes a side negative: here no side falls below 2^-10. ``smooth_l1`` is the
    loss of the four numbers at beta 1, with the same steps.

    Parameters
    ----------
    out : path, optional
        A Parquet file of the points: x, y, and the mean final error of the cases at each point, a column for each loss.
    points : int
        The number of points; 5000 points have 1,715,000 cases. The first points are the same for any number.
    steps : int
        The number of steps of each case.
    losses : sequence of str
        Names of smooth_l1, iou, giou, diou, ciou and eiou.
    seed : int
        Not negative; another seed draws other points.
    progress : callable, optional
        Called with the number of cases done since the last call, where a case counts once for each loss; from any
        thread.

    Returns
    -------
    Regression
        The same bits for any number of threads: errors are added in blocks of points, and blocks in their order.

    Raises
    ------
    ValueError
        An unknown loss or none, no points, no steps, or a negative seed.
    InputError
        An output that can't be written.

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
    compile_together([("loss.regression", "DESCEND", x.dtype, name) for name in names])
    found = Regression(points, steps, seed, x, y)
    schema = schema_of(dict.fromkeys(["x", "y", *names], "float64"))
    parameters = {"points": points, "steps": steps, "losses": names, "seed": seed}
    with Output(out, schema, command="experiment regression", parameters=parameters) as output:
        for name in names:
            found.losses[name] = descend(name, x, y, steps, progress)
        output.write(batch_of, list(found.columns().values()), schema)
        output.finish(found)
    return found
