"""Every notebook runs, without a warning, and gives the text that it has in the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.notebooks import NOTEBOOKS, executed, kept, texts, warned
from support.paths import ROOT

MOST = 150_000  # bytes of a notebook


def test_notebooks_are_as_their_runs_are_kept() -> None:
    assert len(NOTEBOOKS) == 6
    for path in NOTEBOOKS:
        text = path.read_text()
        notebook = json.loads(text)
        assert text == kept(notebook), f"run python tests/support/notebooks.py {path.stem}"
        assert len(text) < MOST and notebook["cells"][0]["source"][0].startswith("# ")
        assert warned(notebook) == [] and any("image/png" in str(cell) for cell in notebook["cells"])


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.process
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_it_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nbclient", "ipykernel", "matplotlib", "jinja2", "pandas", "PIL", "scipy"):
        pytest.importorskip(name, reason=f"the notebooks need {name}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = executed(path, tmp_path)
    assert warned(found) == []
    assert texts(found) == texts(json.loads(path.read_text()))
