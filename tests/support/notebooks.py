"""The notebooks of docs/: run in a folder of their own, and written with short outputs.

``python tests/support/notebooks.py [NAME...]`` runs them, and replaces the outputs that they have in the repository.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))
VARIES = "varies"  # the tag of a cell whose output differs from run to run, or from version to version of a library
TEXT, PICTURE = "text/plain", "image/png"  # the forms of an output that are kept; GitHub and the site show them
SECONDS = 120  # for a cell


def executed(path: Path, folder: Path) -> Any:
    """A notebook with the outputs of a run; raises the error of a cell."""
    import nbformat
    from nbclient import NotebookClient

    client = NotebookClient(nbformat.read(path, as_version=4), timeout=SECONDS, kernel_name="python3")
    client.resources = {"metadata": {"path": str(folder)}}
    return client.execute()


def texts(notebook: Any) -> list[list[str]]:
    """The text that each cell of code prints and returns; nothing for a cell whose output varies."""
    return [
        [] if VARIES in cell["metadata"].get("tags", ()) else [_text(one) for one in cell["outputs"]]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def warned(notebook: Any) -> list[str]:
    """The warnings that cells print."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    return [_text(output) for output in outputs if output.get("name") == "stderr"]


def kept(notebook: Any) -> str:
    """The file of a notebook, without times, numbers of runs, and forms of outputs that repeat the text."""
    cells = [
        {
            "cell_type": cell["cell_type"],
            **({"execution_count": None} if cell["cell_type"] == "code" else {}),
            "id": cell["id"],
            "metadata": {"tags": cell["metadata"]["tags"]} if "tags" in cell["metadata"] else {},
            **({"outputs": list(map(_output, cell["outputs"]))} if cell["cell_type"] == "code" else {}),
            "source": _lines(cell["source"]),
        }
        for cell in notebook["cells"]
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _output(output: Any) -> dict[str, Any]:
    if output["output_type"] == "stream":
        return {"name": output["name"], "output_type": "stream", "text": _lines(output["text"])}
    data = output["data"]
    form = {PICTURE: "".join(data[PICTURE])} if PICTURE in data else {TEXT: _lines(data[TEXT])}
    return {"data": form, "metadata": {}, "output_type": "display_data"}


def _text(output: Any) -> str:
    """The text of an output; nothing for a picture."""
    data = output.get("data", {})
    return "" if PICTURE in data else "".join(data.get(TEXT, output.get("text", "")))


def _lines(text: str | list[str]) -> list[str]:
    return "".join(text).splitlines(keepends=True)


def main(names: list[str]) -> None:
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                path.write_text(kept(executed(path, Path(folder))))


if __name__ == "__main__":
    main(sys.argv[1:])
