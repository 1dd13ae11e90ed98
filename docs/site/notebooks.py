"""Pages of notebooks: their text, their code and what they printed and drew, as they were saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def page(path: Path) -> str:
    """Return the text of the page of a notebook, with a link to the notebook itself."""
    cells = json.loads(path.read_text())["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    parts.append(f"This page is a notebook: [{path.name}]({path.name}).")
    return "\n\n".join(parts) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    text = "".join(cell["source"]).strip()
    if cell["cell_type"] != "code":
        return [text]
    shown = [part for output in cell.get("outputs", []) for part in _output(output)]
    return ([f"```python\n{text}\n```"] if text else []) + shown


def _output(output: dict[str, Any]) -> list[str]:
    """Return what a cell left: the best of the forms that a page can show."""
    if output["output_type"] == "stream":
        return [_block(output["text"])]
    data = output.get("data", {})
    if "image/svg+xml" in data:
        return [f'<div class="output">\n{"".join(data["image/svg+xml"])}\n</div>']
    if "image/png" in data:
        return [f'<img class="output" alt="" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">']
    if "text/html" in data:
        return [f'<div class="output">\n{"".join(data["text/html"])}\n</div>']
    return [_block(data["text/plain"])] if "text/plain" in data else []


def _block(text: str | list[str]) -> str:
    return f"```text\n{''.join(text).rstrip()}\n```"
