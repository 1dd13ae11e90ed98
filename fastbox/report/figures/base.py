"""Figures of matplotlib (the extra ``plot``): their colours, and the functions that make and save them."""

from __future__ import annotations

import io
import os
from typing import Any

from fastbox.errors import InputError
from fastbox.report.palette import light

__all__ = ["FAINT", "GRID", "INK", "check_picture", "new_figure", "save", "tidy"]

INK, FAINT, GRID = (light(role) for role in ("ink", "faint", "grid"))


def check_picture(path: str | os.PathLike[str]) -> None:
    """Refuse, before any work is done, a picture that can't be drawn.

    Raises
    ------
    InputError
        matplotlib is not installed, the path has no extension of a picture, its folder does not exist, or the path has
        a picture that fastbox did not draw.
    """
    from fastbox.storage.folders import check_folder
    from fastbox.storage.stores import local

    kinds = new_figure((1, 1)).canvas.get_supported_filetypes()
    if os.path.splitext(local(path))[1].lstrip(".").lower() not in kinds:
        raise InputError(f"expected a picture such as .svg, .png or .pdf, got {os.fspath(path)}")
    check_folder(path)
    if _is_image(local(path)):
        raise InputError(
            f"expected a new picture or one that fastbox drew, got {os.fspath(path)}, which fastbox did not draw: "
            "name another"
        )


def _is_image(path: str | os.PathLike[str]) -> bool:
    """Return True for an image file that matplotlib did not write, as far as the file tells."""
    ending = os.path.splitext(path)[1].lower()
    if ending not in (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp") or not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        return ending != ".png" or b"Matplotlib" not in file.read(1024)


def new_figure(size: tuple[float, float]) -> Any:
    """Return a matplotlib figure of a size in inches, without a window and without global state.

    Raises
    ------
    InputError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("expected matplotlib for plots, got none: pip install 'fastbox-engine[plot]'") from None
    figure = Figure(figsize=size, layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's extension, complete or not at all; equal figures give equal bytes."""
    import matplotlib

    from fastbox.storage.folders import new_file

    kind = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "fastbox"}):
        figure.savefig(drawn, format=kind, metadata={"Date": None} if kind == "svg" else None)
    with new_file(path) as file:
        file.write(drawn.getvalue())


def tidy(axes: Any) -> None:
    """Remove the lines above and on the right, and draw numbers in a weaker colour than the data."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=FAINT, labelcolor=INK)
