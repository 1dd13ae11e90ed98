"""Hooks of MkDocs: pages that are made from the code, and files of the repository outside of ``docs/``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import api
import commands
import metrics
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
OUTSIDE |= {"bench/README.md": "bench.md"}
FOLDERS = {"api": api.pages, "commands": commands.pages, "metrics": metrics.pages}

_made: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Make the pages, and list those of a folder where the navigation has ``folder/*``."""
    for source, name in OUTSIDE.items():
        _made[name] = (ROOT / source).read_text()
    for folder, pages in FOLDERS.items():
        _made.update({f"{folder}/{name}.md": text for name, text in pages().items()})
    config.nav = [_listed(entry) for entry in config.nav]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that were made."""
    for name, text in _made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    at = Path(next((path for path, name in OUTSIDE.items() if name == page.file.src_uri), f"docs/{page.file.src_uri}"))

    def pointed(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2] or ""
        path = (ROOT / at.parent / target).resolve()
        if not target or not path.is_relative_to(ROOT) or page.file.src_uri.partition("/")[0] in FOLDERS:
            return link[0]
        known = OUTSIDE.get(str(path.relative_to(ROOT)), str(path.relative_to(ROOT)).removeprefix("docs/"))
        return f"]({known}{anchor})"

    return re.sub(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)", pointed, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Show roles of docstrings, such as ``:func:`best` ``, as the names alone."""
    return re.sub(r":(?:func|class|meth|mod|data|attr):<code>~?", "<code>", html)


def _listed(entry: Any) -> Any:
    """Return an entry of the navigation with the pages of a folder in place of ``folder/*``."""
    if isinstance(entry, dict):
        (title, below), *_ = entry.items()
        return {title: [_listed(one) for one in below] if isinstance(below, list) else _expanded(below)}
    return entry


def _expanded(path: str) -> Any:
    return [name for name in _made if name.startswith(path[:-1])] if path.endswith("/*") else path
