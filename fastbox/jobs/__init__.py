"""One file per command: what `fastbox NAME` runs, as functions."""

from fastbox.jobs.measure import Measured, measure
from fastbox.jobs.pairs import Paired, pairs
from fastbox.jobs.sample import sample

__all__ = ["Measured", "Paired", "measure", "pairs", "sample"]
