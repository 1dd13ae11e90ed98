"""The images whose errors cost most, on the page of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.page import cells
from fastbox.report.page.contents import Column, Section, Table

__all__ = ["worst_images"]


def worst_images(summary: Mapping[str, Any]) -> list[Section]:
    """Return the section of these images, if errors cost anything."""
    images = summary["worst_images"]
    if not images:
        return []
    kinds = [name for name in images[0] if name not in ("image", "cost")]
    table = Table(
        "Costliest images",
        [
            Column("image", [str(found["image"]) for found in images]),
            cells.figures("cost in AP50", [found["cost"] for found in images], 5),
            *(cells.counts(name, [found[name] for found in images]) for name in ("missed", *kinds[:-1])),
        ],
        "images",
    )
    text = (
        "ΔAP50 of each kind of error is divided equally among all errors of the kind; an image costs what its own do."
    )
    return [Section("Images", text, [table])]
