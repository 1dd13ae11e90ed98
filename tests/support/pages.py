"""Pages as parsed HTML, and texts that try to be more than text."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(2)</script>",
    "]]></svg><script>alert(3)</script>",
    "$\\frac{1}{0}$ $ _ ^",
    "' onmouseover='alert(4)",
    "{{ 7 * 7 }} {% raw %}",
    "\u202egnp.exe \u0627\u0644\u0633\u064a\u0627\u0631\u0629",
    "\x00\x07\x1b[31m\ud800".encode("utf-8", "replace").decode(),
    "x" * 10_000,
    "🚗" * 50,
    "",
]


VOID = {"meta", "link", "img", "br", "input"}


class Elements(HTMLParser):
    """Every element of a page, its attributes, and whether all that is opened is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(html: str) -> Elements:
    elements = Elements()
    elements.feed(html)
    elements.close()
    assert elements.open == []
    return elements


def attributes(elements: Elements) -> Iterator[tuple[str, str, str | None]]:
    for tag, found in elements.found:
        for name, value in found.items():
            yield tag, name, value
