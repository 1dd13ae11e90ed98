"""Hooks of MkDocs: pages that are made from the code, notebooks, and files of the repository outside of ``docs/``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import api
import commands
import links
import metrics
import notebooks
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from fastbox.report import palette

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
OUTSIDE |= {"bench/README.md": "bench.md", "data/README.md": "data.md"}
HOME = {"README.md": "index.md"}  # the site begins with a page of its own
MADE = {"api": api.pages, "commands": commands.pages, "metrics": metrics.pages}
FOREIGN = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["']?(?:https?:)?//"""
    r"""|<link[^>]*rel=["']?(?:stylesheet|preconnect|preload)[^>]*//"""
)

_made: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Make the pages, and list those of a pattern where the navigation has ``folder/*``."""
    for source, name in OUTSIDE.items():
        _made[name] = (ROOT / source).read_text()
    for folder, pages in MADE.items():
        _made.update({f"{folder}/{name}.md": text for name, text in pages().items()})
    for path in sorted(DOCS.rglob("*.ipynb")):
        _made[path.relative_to(DOCS).with_suffix(".md").as_posix()] = notebooks.page(path)
    written = [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md"))]
    config.nav = navigation(config.nav, [*_made, *written])
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that were made, and the colours of fastbox's own pages."""
    schemes = (
        f'[data-md-color-scheme="{scheme}"] {{ '
        + " ".join(f"--{role}: {pair[at]};" for role, pair in palette.ROLES.items())
        + " }"
        for at, scheme in enumerate(("default", "slate"))
    )
    for name, text in (*_made.items(), ("palette.css", "\n".join(schemes))):
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages, and link commands and functions."""
    name = page.file.src_uri
    if name.partition("/")[0] not in MADE:
        source = next((path for path, made in OUTSIDE.items() if made == name), f"docs/{name}")
        markdown = links.rewritten(markdown, source, name, OUTSIDE | HOME)
    return links.crossed(markdown, name, commands.names(), api.names())


def on_page_content(html: str, **_: Any) -> str:
    """Show roles of docstrings, such as ``:func:`best` ``, as the names alone."""
    return re.sub(r":(?:func|class|meth|mod|data|attr):<code>~?", "<code>", html)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that loads anything from another machine."""
    if found := FOREIGN.search(output):
        raise PluginError(f"expected files of the site alone, got {found[0]!r} in {page.file.src_uri}")
    return output


def navigation(entries: list[Any], names: list[str]) -> list[Any]:
    """Return the navigation with the pages of each pattern, the index first; what has no pages is left out.

    A pattern stands for pages that no other entry names, and that no pattern before it matches.
    """
    left = [name for name in names if name not in set(_named(entries))]
    return _filled(entries, left)


def _filled(entries: list[Any], left: list[str]) -> list[Any]:
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, below),) = entry.items()
            listed = _filled(below if isinstance(below, list) else [below], left)
            if listed:
                found.append({title: listed if isinstance(below, list) or "/" in below else listed[0]})
        elif "*" in entry:
            matched = [name for name in left if fnmatch(name, entry) and name.count("/") == entry.count("/")]
            left[:] = [name for name in left if name not in matched]
            found += sorted(matched, key=lambda name: not name.endswith("/index.md"))
        else:
            found.append(entry)
    return found


def _named(entries: Any) -> Iterator[str]:
    """Yield the pages that the navigation names."""
    if isinstance(entries, str):
        yield entries
    else:
        for below in entries.values() if isinstance(entries, dict) else entries:
            yield from _named(below)
