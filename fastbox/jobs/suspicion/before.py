"""The first pass over both tables: how often each model finds the truths of a class, and whether the tables fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import field
from typing import Any

import numpy as np

from fastbox._record import dataclass
from fastbox.errors import InputError
from fastbox.evaluation.alike import apart, spellings
from fastbox.evaluation.matching import FOREGROUND
from fastbox.evaluation.mismatch import Mismatch
from fastbox.evaluation.suspects.recalls import Recalls
from fastbox.evaluation.suspects.survey import blocks
from fastbox.jobs.evaluate_tables import Read, unfit
from fastbox.jobs.suspicion.tables import Columns, Seen, Tables
from fastbox.kernels.codes import BACKGROUND, CLASSIFICATION, MATCHED
from fastbox.kernels.evaluate.places import EXPLAINED
from fastbox.results.merge import Gathered
from fastbox.tables.chunk import ROWS
from fastbox.tables.source import Source
from fastbox.values.labels import Codes

__all__ = ["MIN_SCORE", "Facts", "first_pass", "read_first"]

MIN_SCORE = 0.3  # of a detection that claims something


@dataclass(frozen=True)
class Facts:
    """The result of the first pass.

    Attributes
    ----------
    recalls : Recalls
    warnings : tuple of str
        Sentences on likely mistakes in the tables.
    """

    recalls: Recalls = field(default_factory=Recalls)
    warnings: tuple[str, ...] = ()


class Met:
    """Recalls, and evidence that the tables do not fit, collected chunk by chunk; those of two parts are added."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.models, self.classes = Codes((), "models"), Codes((), "classes")
        self.recalls, self.mismatch = Recalls(), Mismatch()
        self.sides: tuple[set[Any], set[Any]] = set(), set()

    def add(self, seen: Seen, least: float) -> None:
        """Add a chunk; a truth is found by a detection of at least a score."""
        models = len(self.models)
        recalls = Recalls.zeros(self.models.labels, self.classes.labels)
        match_types = np.full(len(seen.detections.scores), BACKGROUND, np.int8)
        taken = np.full(len(match_types), -1)
        for first, first_truth, scene in blocks(seen.scene, models):
            claims = scene.claims(models, least)
            recalls.count(claims.cells.own >= FOREGROUND, scene)
            match_types[first : first + len(scene.scores)][claims.statuses == EXPLAINED] = MATCHED
            truths, numbers = np.nonzero(claims.cells.wrong >= 0)
            rows = first + claims.cells.wrong[truths, numbers]
            match_types[rows], taken[rows] = CLASSIFICATION, first_truth + truths
        self.recalls += recalls
        self.mismatch.add(seen.scene.images, seen.detections, seen.truths, match_types, taken)
        for side, codes in zip(self.sides, (seen.scene.kinds, seen.scene.truth_kinds), strict=True):
            side.update(self.classes.labels[code] for code in np.unique(codes).tolist())

    def __add__(self, other: Met) -> Met:
        both = Met(self.read + other.read)
        both.models.of([*self.models.labels, *other.models.labels])
        both.classes.of(self.classes.labels)
        kinds = both.classes.of(other.classes.labels)
        both.recalls = self.recalls + other.recalls
        both.mismatch = self.mismatch + other.mismatch.recoded(kinds)
        both.sides = self.sides[0] | other.sides[0], self.sides[1] | other.sides[1]
        return both

    def facts(self) -> Facts:
        """Return the facts of whole tables.

        Raises
        ------
        InputError
            The tables have no image or no class in common.
        """
        if said := unfit(self.mismatch, None, self.read):
            raise InputError(said)
        own, its = self.sides
        told = bool(self.read.named) or any(isinstance(label, str) for label in own)
        if (found := apart(own, its, self.read.named, told=told)) is not None:
            met = f"{found.both} of {found.fewer}" if found.both else "none"
            raise InputError(
                f"expected classes that both tables have, got {met}: {found.detections} in {self.read.files[0]} and "
                f"{found.truths} in {self.read.files[1]}: number or name the classes of both alike"
            )
        likely = self.mismatch.sentences(self.classes.labels, listed=self.read.listed is not None)
        return Facts(self.recalls, (*self.read.sentences, *likely, *spellings(sorted(own), sorted(its))))


def read_first(
    detections: Source,
    truths: Source,
    *,
    out: None = None,
    columns: Columns,
    least: float,
    rows: int,
    progress: Callable[[int], object] | None = None,
) -> Met:
    """Read the tables, or a fragment of them, for the first time."""
    tables = Tables.of(detections, truths, columns)
    met = Met(tables.read)
    with closing(tables.scenes(rows, met.models, met.classes)) as scenes:
        for seen in scenes:
            met.add(seen, least)
            if progress is not None:
                progress(len(seen.chunk.a))
    return met


def first_pass(
    table: Source, fragments: Sequence[Source], options: Mapping[str, Any], everywhere: Callable[..., Any]
) -> list[dict[str, Any]]:
    """Return the facts of whole tables, as the option ``facts`` of each of their fragments."""
    columns = Columns.of(options)
    found = Gathered()
    least, rows = options.get("min_score", MIN_SCORE), options.get("rows", ROWS)
    for place, met in everywhere(read_first, columns=columns, least=least, rows=rows):
        found.add(place, met)
    return [{"facts": found.merged().facts()}] * len(fragments)
