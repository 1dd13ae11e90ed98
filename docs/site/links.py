"""Links between pages: to files of the repository, and from commands and functions in text to their reference."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"^ *(```|~~~)")
CODE = re.compile(r"(?<![\[`!])`(fastbox[. ][^`]+)`(?![\]`])")


def rewritten(markdown: str, source: str, name: str, moved: Mapping[str, str]) -> str:
    """Return a text of the repository whose links lead to pages.

    Parameters
    ----------
    source, name : str
        The path of the file in the repository, and that of its page.
    moved : mapping of str to str
        The pages of the files that are not in ``docs/``.
    """

    def pointed(link: re.Match[str]) -> str:
        path = (ROOT / source).parent.joinpath(link[1]).resolve()
        if not link[1] or not path.is_relative_to(ROOT):
            return link[0]
        place = path.relative_to(ROOT).as_posix()
        page = re.sub(r"\.ipynb$", ".md", place)
        place = place if page == f"docs/{name}" else page  # a notebook has a page, which links to the notebook
        return f"]({_relative(name, moved.get(place, place.removeprefix('docs/')))}{link[2] or ''})"

    return LINK.sub(pointed, markdown)


def crossed(markdown: str, name: str, commands: Collection[str], names: Collection[str]) -> str:
    """Return a text in which each command and public name that stands as code in a sentence links to its reference.

    Parameters
    ----------
    name : str
        The path of the page, whose own name gets no link.
    commands, names : collection of str
        The names of the pages of commands, and the full names of functions and classes.
    """
    lines, fenced = [], False
    for line in markdown.splitlines():
        fenced ^= bool(FENCE.match(line))
        plain = fenced or line.startswith(("#", "    "))
        lines.append(line if plain else CODE.sub(lambda code: _linked(code, name, commands, names), line))
    return "\n".join(lines) + "\n"


def _linked(code: re.Match[str], name: str, commands: Collection[str], names: Collection[str]) -> str:
    full = code[1].partition("(")[0]
    if full in names:
        return f"[{code[0]}][{full}]"
    words = code[1].split()[1:]
    for page in ("-".join(words[:count]) for count in (2, 1) if len(words) >= count):
        if page in commands and name != f"commands/{page}.md":
            return f"[{code[0]}]({_relative(name, f'commands/{page}.md')})"
    return code[0]


def _relative(name: str, place: str) -> str:
    """Return a path of the site, seen from the page with this name."""
    return PurePosixPath(*[".."] * name.count("/"), place).as_posix()
