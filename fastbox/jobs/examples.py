"""The errors that are worth a look: of each kind those of the highest scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.errors import ERRORS
from fastbox.evaluation.judge import VERDICTS, Judged
from fastbox.report.page.contents import Box, Example
from fastbox.tables.source import Chunk

__all__ = ["Gallery"]

SHOWN = 6  # of each kind


class Gallery:
    """Detections with an error, and the truth it is about, kept while chunks go by: of each kind the highest scores."""

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[float, int, Example]]] = {kind: [] for kind in ERRORS if kind in VERDICTS}

    def add(self, chunk: Chunk, judged: Judged, scores: NDArray[np.float64], said: Callable[[str, int], str]) -> None:
        """Look through a chunk; `said` names the class of a row of ``"found"`` or ``"truth"``."""
        for kind, kept in self._kept.items():
            rows = np.flatnonzero(judged.verdict == VERDICTS.index(kind))
            for row in rows[np.lexsort((rows, -scores[rows]))[:SHOWN]].tolist():
                example = _example(chunk, row, int(judged.partner[row]), f"{scores[row]:.2f}", said)
                if np.isfinite([box.corners for box in example.boxes]).all():
                    kept.append((-float(scores[row]), int(chunk.a_rows(row)), example))
            kept.sort(key=lambda one: one[:2])
            del kept[SHOWN:]

    @property
    def found(self) -> list[tuple[str, list[Example]]]:
        """Kinds of errors, each with its examples."""
        return [(kind, [example for _, _, example in kept]) for kind, kept in self._kept.items() if kept]


def _example(chunk: Chunk, row: int, partner: int, score: str, said: Callable[[str, int], str]) -> Example:
    assert chunk.images is not None and chunk.a.offsets is not None and chunk.b is not None
    image = chunk.images[np.searchsorted(chunk.a.offsets, row, side="right") - 1]
    boxes = [Box(_corners(chunk.a, row), f"{said('found', row)} {score}", "wrong")]
    if partner >= 0:
        boxes.insert(0, Box(_corners(chunk.b, partner), f"truth: {said('truth', partner)}", "truth"))
    return Example(f"image {image}, row {chunk.a_rows(row)}", boxes)


def _corners(boxes: Any, row: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = boxes[row : row + 1].corners()[0].tolist()
    return x0, y0, x1, y1
