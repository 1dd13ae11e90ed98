"""Sizes of the cases, and the boxes that they are measured on."""

from __future__ import annotations

from dataclasses import dataclass

from fastbox.benchmarks.shapes import DTYPES, Kind, Ragged, boxes, ragged

__all__ = ["DTYPES", "Kind", "Ragged", "Sizes", "boxes", "ragged"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of all cases: the full amounts, or small ones to see that every case runs."""

    quick: bool = False

    def matrix(self, name: str) -> tuple[int, int]:
        """Rows and columns of a named matrix."""
        full = {"small": (1000, 1000), "large": (4000, 4000), "wide": (200_000, 10), "huge": (10_000, 10_000)}
        little = {"small": (64, 64), "large": (200, 200), "wide": (1000, 10), "huge": (300, 300)}
        return (little if self.quick else full)[name]

    def of(self, full: int) -> int:
        """A number of rows, elements or images."""
        return max(full // 1000, 100) if self.quick else full
