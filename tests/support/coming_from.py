"""The rows of the pages for users of other libraries, and the values that these libraries give.

``python -c "from support.coming_from import record; record('sahi')"``, in ``tests/`` and where the library of this page
is installed, records the values again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from support.paths import ROOT

FOLDER = ROOT / "docs" / "coming-from"
RECORDED = ROOT / "tests" / "whole" / "coming_from.json"
TENSORS = {"torchvision", "detectron2", "mmdetection", "torchmetrics", "ultralytics"}
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Row(NamedTuple):
    """A page, the call of its library, and ours: of fastbox, or a command."""

    page: str
    theirs: str
    ours: str


def text_of(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text()


def pages() -> list[str]:
    """The names of the pages of libraries."""
    return sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "index")


def rows(kind: str) -> list[Row]:
    """The rows of all tables whose second column is headed by `kind`: ``fastbox`` or ``command``."""
    table = re.compile(rf"^\| [^|]* \| {kind} \| what differs \|\n\|---.*\n((?:\|.*\n?)+)", re.MULTILINE)
    found = []
    for page in pages():
        for body in table.findall(text_of(page)):
            for line in body.splitlines():
                theirs, ours, differs = line.strip("| ").split(" | ")
                assert differs
                found.append(Row(page, theirs, ours))
    return found


def calls(kind: str) -> list[Row]:
    """As :func:`rows`, without the marks of code."""
    return [Row(page, theirs.strip("`"), ours.strip("`")) for page, theirs, ours in rows(kind)]


def inputs(page: str, tensors: bool = False) -> dict[str, Any]:
    """The names that the first page defines, and the names of a page that need no other library."""
    found: dict[str, Any] = {}
    block = BLOCK.search(text_of("index"))
    assert block is not None
    exec(block[1], found)
    if tensors:
        import torch

        found |= {name: torch.as_tensor(one) for name, one in found.items() if isinstance(one, np.ndarray)}
    return found


def peer_block(page: str) -> str:
    """The last block of code of a page: the imports and names that the calls of the library need."""
    return BLOCK.findall(text_of(page))[-1]


def their_names(page: str) -> dict[str, Any]:
    """The inputs, and the names of the library; what its import raises is raised."""
    found = inputs(page, page in TENSORS)
    exec(peer_block(page), found)
    return found


def our_names(page: str) -> dict[str, Any]:
    """The inputs, and those names of the page that are made of them alone."""
    found = inputs(page)
    for statement in re.findall(r"^(\w+ = .*)$", peer_block(page), re.MULTILINE):
        if "fastbox." in statement or re.match(r"(together|ours|same) =", statement):
            exec(statement, found)
    return found


def value_of(code: str, names: dict[str, Any]) -> Any:
    return np.asarray(eval(code, dict(names)))


def recorded() -> dict[str, dict[str, Any]]:
    """The values of each library, by page and call."""
    found: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text()) if Path(RECORDED).exists() else {}
    return found


def record(page: str) -> None:
    """Record what a library gives."""
    names = their_names(page)
    values = {row.theirs: value_of(row.theirs, names).tolist() for row in calls("fastbox") if row.page == page}
    everything = sorted((recorded() | {page: values}).items())
    blocks = [f"{json.dumps(name)}: {{\n{_lines(own)}\n}}" for name, own in everything]
    RECORDED.write_text("{\n" + ",\n".join(blocks) + "\n}\n")


def _lines(values: dict[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(call)}: {json.dumps(value)}" for call, value in values.items())
