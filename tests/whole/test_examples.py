"""Every example in a docstring, and the README's, runs as it stands."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil

import pytest
from support.paths import ROOT
from support.torches import needs_torch

import fastbox
from fastbox import jobs

MODULES = [
    info.name
    for info in pkgutil.walk_packages(fastbox.__path__, "fastbox.")
    if not info.name.startswith("fastbox.kernels") and info.name != "fastbox.__main__"
]
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]


FRAMES = {"fastbox.duckdb": "duckdb", "fastbox.frames.accessor": "polars", "fastbox.pandas": "pandas"}
FRAMES |= {"fastbox.polars": "polars"}


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    if name in FRAMES:
        pytest.importorskip(FRAMES[name], reason=f"{FRAMES[name]} is not installed")
    if needs_torch(name):
        pytest.importorskip("torch", reason="torch is not installed")
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages(page: str) -> None:
    assert doctest.testfile(str(ROOT / page), module_relative=False).failed == 0


def test_the_page_on_losses_says_what_the_sample_gives() -> None:
    found = jobs.disagreement(ROOT / "data" / "pairs.parquet").to_dict()
    page = (ROOT / "docs" / "losses.md").read_text()
    assert f"sample's {found['pairs']:,} pairs" in page
    for name, distance in (("L1", "l1"), ("L2", "l2"), ("Smooth L1", "smooth_l1")):
        figures = " | ".join(f"{value:.2f}" for value in found["rank_correlation"][distance]["iou"].values())
        assert f"| {name} | {figures} |" in page


def test_the_sample_gives_its_expected_summary() -> None:
    data = ROOT / "data"
    found = jobs.pairs(data / "detections.parquet", data / "truths.parquet", metrics=["iou", "giou", "smooth_l1"])
    assert found.to_dict() == json.loads((data / "expected.json").read_text())
