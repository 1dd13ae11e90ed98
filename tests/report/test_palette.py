"""Colours stand in one place, can be told from their paper, and mean one thing."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

import fastbox
from fastbox.report.palette import ROLES, SERIES, css

REPORT = Path(fastbox.__file__).parent / "report"
DRAWN = ("truth", "detection", "match", "anchor", "problem", "box", "ink", "faint", "accent")


def luminance(color: str) -> float:
    """The relative luminance of WCAG 2."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("side", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("role", DRAWN)
def test_text_in_a_colour_can_be_read_on_its_paper(role: str, side: int) -> None:
    for paper in ("paper", "card"):
        assert contrast(ROLES[role][side], ROLES[paper][side]) >= 4.5


@pytest.mark.parametrize("side", [0, 1], ids=["light", "dark"])
def test_no_two_roles_share_a_colour(side: int) -> None:
    roles = [role for role in ROLES if role not in SERIES]
    for one, other in combinations(roles, 2):
        assert ROLES[one][side] != ROLES[other][side], (one, other)
    data = {ROLES[role][side] for role in DRAWN[:6]}
    assert not data & {ROLES[role][side] for role in SERIES}


def test_colours_stand_in_the_palette_alone() -> None:
    allowed = {"palette.py"}
    for path in [*REPORT.rglob("*.py"), *REPORT.rglob("*.css"), *REPORT.rglob("*.j2"), *REPORT.rglob("*.js")]:
        if path.name not in allowed:
            found = re.findall(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b", path.read_text("utf-8"))
            assert not found, (path.name, found)


def test_every_colour_of_the_style_is_a_role() -> None:
    style = (REPORT / "page" / "page.css").read_text("utf-8")
    assert set(re.findall(r"var\(--([a-z]\w*)\)", style)) - {"c", "n2", "n3", "n4", "n6"} <= set(ROLES)
    assert css().count("--truth:") == 3
