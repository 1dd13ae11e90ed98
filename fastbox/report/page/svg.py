"""A figure of matplotlib as SVG inside of a page, in the page's own colours and fonts."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from fastbox.report.palette import ROLES

__all__ = ["STAND_INS", "svg"]

# Stand-ins, each the only one of its colour in a plot, that become the page's variables.
STAND_INS = {role: f"#0102{number:02x}" for number, role in enumerate(ROLES)}

_SVG, _LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_LEFT_OUT = (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style")  # of the whole drawing: its fonts, its author


def svg(figure: Any, title: str, says: str) -> str:
    """Return a figure as an SVG element without size, with a title, a description and identifiers of its own."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    root = ElementTree.fromstring(_drawn(figure))
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _LEFT_OUT]:
            parent.remove(child)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    variables = {color: f"var(--{role})" for role, color in STAND_INS.items()}
    for element, name, value in _attributes(root):
        for color, variable in variables.items():
            value = value.replace(color, variable)
        element.set(name, value)
    own = f"p{zlib.crc32(ElementTree.tostring(root)):x}-"
    for element, name, value in _attributes(root):
        if name == "id":
            element.set(name, f"{own}{value}")
        elif name == f"{{{_LINK}}}href" and value.startswith("#"):
            element.set(name, f"#{own}{value[1:]}")
        elif "url(#" in value:
            element.set(name, value.replace("url(#", f"url(#{own}"))
    root.attrib |= {"role": "img", "aria-labelledby": f"{own}t {own}d"}
    for place, (name, text) in enumerate({"title": title, "desc": says}.items()):
        named = ElementTree.Element(f"{{{_SVG}}}{name}", {"id": f"{own}{name[0]}"})
        named.text = text
        root.insert(place, named)
    return ElementTree.tostring(root, encoding="unicode")


def _attributes(root: ElementTree.Element) -> Iterator[tuple[ElementTree.Element, str, str]]:
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            yield element, name, value


def _drawn(figure: Any) -> bytes:
    """The SVG file that matplotlib writes, the same for the same figure."""
    import matplotlib

    target = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "fastbox", "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The browser draws the text with its own fonts, which may have glyphs that matplotlib's fonts lack.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        for text in figure.findobj(matplotlib.text.Text):
            text.set_parse_math(False)
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    return target.getvalue()
