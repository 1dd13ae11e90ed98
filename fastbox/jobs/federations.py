"""The classes that images are annotated for, and the classes above others, from files: of LVIS and of Open Images."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from fastbox._lazy import deferred
from fastbox.errors import InputError, advice
from fastbox.evaluation.federated import Federation
from fastbox.evaluation.params import Params
from fastbox.tables.source import Source

__all__ = ["federation_of"]

image_labels = deferred("fastbox.datasets.image_labels")

OF_LVIS = "lvis"
FILES = {OF_LVIS: "lvis_v1_val.json", "open-images": "labels.csv"}


def federation_of(given: Any, truths: Any, params: Params, hierarchy: Any = None) -> Federation | None:
    """Return the classes that images are annotated for, as given or as the file of the truths lists them.

    Only some rules have these; None for the others.

    Raises
    ------
    InputError
        Nothing is given, and the truths are no JSON file of LVIS; or the rule has no such classes.
    """
    rule = params.rule
    if not params.record.federated:
        for name, one in (("federation", given), ("hierarchy", hierarchy)):
            if one is not None:
                rules = " and ".join(FILES)
                raise InputError(f"expected a {name} with the rules {rules} alone, got one with {rule}: leave it out")
        return None
    if given is None and rule == OF_LVIS:
        path = truths.path if isinstance(truths, Source) else truths
        given = path if isinstance(path, str | os.PathLike) and str(path).endswith(".json") else None
    if given is None:
        file = FILES.get(rule, "labels.csv")
        how = advice(f"--federation {file}", f"federation={file!r}")
        raise InputError(f"expected the classes that images are annotated for, got none: give their file, {how}")
    if isinstance(given, Federation):
        found = given
    elif rule == OF_LVIS:
        found = Federation.read(given)
    else:
        present, negative = image_labels.image_labels(given)
        found = Federation(negative=negative, present=present)
    return found if hierarchy is None else replace(found, parents=image_labels.parents_of(hierarchy))
