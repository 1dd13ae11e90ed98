"""Jobs run fragment by fragment, on this machine or a cluster: :func:`spread`, and its engines."""

from typing import TYPE_CHECKING

from fastbox._lazy import lazy

if TYPE_CHECKING:
    from fastbox.fragments.engines import Engine, dask, ray, spark, threads
    from fastbox.fragments.run import spread

__all__ = ["Engine", "dask", "ray", "spark", "spread", "threads"]

lazy(
    __name__,
    {"fastbox.fragments.engines": ("Engine", "dask", "ray", "spark", "threads"), "fastbox.fragments.run": ("spread",)},
)
