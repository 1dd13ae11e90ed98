"""Render a page with Jinja2 and write it: one file, no network, complete or not at all."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastbox._version import __version__
from fastbox.errors import InputError, advice
from fastbox.report.page.contents import Examples, Page, Plot, Table
from fastbox.report.page.text import plain, printable
from fastbox.report.palette import css
from fastbox.report.provenance import Provenance
from fastbox.storage.folders import check_folder, new_file
from fastbox.storage.stores import local

__all__ = ["check_page", "check_report", "framed", "render", "write"]

_HERE = Path(__file__).parent
FRAME = 720  # pixels of the height of a page in a notebook
_KINDS: dict[type, str] = {Plot: "plot", Table: "table", Examples: "examples"}


def check_page(path: str | os.PathLike[str], coming: str | os.PathLike[str] | None = None) -> None:
    """Refuse, before any work is done, a page that can't be made; ``coming`` is a folder that the job makes.

    Raises
    ------
    InputError
        Jinja2 or matplotlib is not installed, the path is not of HTML, or its folder does not exist.
    """
    _environment()
    from fastbox.report.figures.base import new_figure

    new_figure((1, 1))
    folder, name = os.path.split(os.path.abspath(local(path)))
    if os.path.splitext(name)[1].lower() not in (".html", ".htm"):
        raise InputError(f"expected a page such as report.html, got {os.fspath(path)}")
    if not os.path.isdir(folder) and (coming is None or folder != os.path.abspath(local(coming))):
        check_folder(path)


def check_report(
    path: str | os.PathLike[str] | None,
    pictures: str | os.PathLike[str] | None,
    coming: str | os.PathLike[str] | None = None,
) -> None:
    """Refuse, before any work is done, a page that can't be made, as :func:`check_page` does, or its pictures.

    Raises
    ------
    InputError
        The errors of the page, pictures without a page, no such folder of pictures, or Pillow is not installed.
    """
    if path is not None:
        check_page(path, coming)
    if pictures is not None:
        from fastbox.report.page.pictures import check_pictures

        if path is None:
            how = advice("--report PAGE", "report='page.html'")
            raise InputError(f"expected a page to show the pictures of {os.fspath(pictures)} on, got none: add {how}")
        check_pictures(pictures)


def render(page: Page, run: Provenance | None = None) -> str:
    """Return a page as HTML, with the record of its run: the same text for the same page and run."""
    script, style = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.js", "page.css"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment().get_template("page.html.j2")
    record = None if run is None else run.to_dict()
    return str(
        template.render(page=page, script=script, style=css() + style, allowed=allowed, version=__version__, run=record)
    )


def framed(page: Page) -> str:
    """Return a page in a frame, which a notebook shows with the page's own styles."""
    return (
        f'<iframe srcdoc="{html.escape(render(page))}" title="{html.escape(plain(page.title))}" '
        f'width="100%" height="{FRAME}" style="border: 0" sandbox="allow-scripts"></iframe>'
    )


def write(page: Page, path: str | os.PathLike[str], run: Provenance | None = None) -> None:
    """Write a page, with the record of its run; it appears complete or not at all."""
    content = render(page, run).encode()
    with new_file(path) as file:
        file.write(content)


def _environment() -> Any:
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise InputError("expected Jinja2 for a page, got none: pip install 'fastbox-engine[report]'") from None
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": plain,
        "printable": printable,
        "option_text": _option_text,
        "kind": lambda part: _KINDS[type(part)],
        "as_json": lambda record: Markup(_script_json(record)),
        "as_markup": Markup,
    }
    return environment


def _option_text(value: Any) -> str:
    """Return an option as a line of text."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {_option_text(own)}" for name, own in value.items() if own is not None)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(map(_option_text, value))
    else:
        text = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return plain(text)


def _script_json(record: Mapping[str, Any]) -> str:
    """Return JSON that can't end an element of a page, for any content."""
    text = json.dumps(record, indent=1, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
