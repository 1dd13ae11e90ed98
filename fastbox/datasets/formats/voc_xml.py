"""The XML files of Pascal VOC, parsed without following their declarations."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastbox.datasets.listing import read_bytes
from fastbox.errors import InputError

if TYPE_CHECKING:
    from xml.etree import ElementTree

__all__ = ["number_of", "parser", "text_of", "whole_of"]

_ENCODING = re.compile(rb"^\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"'][^>]*\?>")


def parser(tag: str = "annotation", what: str = "Pascal VOC") -> Callable[[str], ElementTree.Element]:
    """Return a parser that refuses declarations of entities, which could read other files or grow without limit.

    Tags are returned without their namespaces; ``tag`` is that of the root, ``what`` the format in messages.
    """
    from xml.etree import ElementTree

    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import XMLParser
    except ImportError as error:
        raise InputError(
            f"expected defusedxml to read {what}, got none: install it with pip install 'fastbox-engine[formats]'"
        ) from error

    def tree(data: bytes | str) -> ElementTree.Element:
        # Without a builder defusedxml builds in Python, and takes twice as long.
        parser = XMLParser(target=ElementTree.TreeBuilder())
        parser.feed(data)
        root: ElementTree.Element = parser.close()
        return root

    def parse(path: str) -> ElementTree.Element:
        data = read_bytes(path)
        try:
            try:
                root = tree(data)
            except DefusedXmlException:
                raise
            except (ValueError, LookupError):
                root = tree(_decoded(data, path))  # an encoding that Python has and the parser does not
        except DefusedXmlException as error:
            raise InputError(
                f"expected XML without entities of its own in {path}, got a declaration of one: remove it"
            ) from error
        except SyntaxError as error:
            raise _no_xml(path, data, error) from error
        if b"xmlns" in data:
            for element in root.iter():
                element.tag = element.tag.rpartition("}")[2]
        if root.tag != tag:
            raise InputError(
                f"expected an annotation of {what} in {path}, got <{root.tag}>: export it as {what}, or move the file "
                "away if it holds no boxes"
            )
        return root

    return parse


def text_of(parent: ElementTree.Element, tag: str) -> str | None:
    """Return the text of a child, without space around it; None without one."""
    text = parent.findtext(tag)
    return text.strip() or None if text else None


def number_of(parent: ElementTree.Element, tag: str, where: str) -> float | None:
    """Return the number in a child; None without one."""
    text = text_of(parent, tag)
    if text is None:
        return None
    try:
        if "_" in text:  # Python takes 1_0 for a number
            raise ValueError
        return float(text)
    except ValueError as error:
        raise InputError(f"{where} has {tag} {text!r}: give a number") from error


def whole_of(parent: ElementTree.Element, tag: str, where: str, kind: str = "a whole number of pixels") -> int | None:
    """Return the whole number in a child, of a kind for messages; None without one."""
    value = number_of(parent, tag, where)
    if value is None:
        return None
    if not (value.is_integer() and 0 <= value < 2**31):
        raise InputError(f"{where} has {tag} {value}: give {kind}")
    return int(value)


def _decoded(data: bytes, path: str) -> str:
    """Return a file as text, by the encoding that it declares, and without that declaration."""
    declared = _ENCODING.match(data)
    encoding = declared[1].decode("ascii", "replace") if declared else "UTF-8"
    try:
        return data[declared.end() if declared else 0 :].decode(encoding)
    except (LookupError, ValueError) as error:
        raise InputError(
            f"{path} is not text in the encoding {encoding!r} that it declares: save it as UTF-8"
        ) from error


def _no_xml(path: str, data: bytes, error: SyntaxError) -> InputError:
    line, column = getattr(error, "position", (1, 0))
    if not data.strip():
        return InputError(f"expected XML in {path}, got an empty file: export it again, or remove it")
    if _ENCODING.match(data) is None:
        try:
            data.decode()
        except UnicodeDecodeError as wrong:
            line = data.count(b"\n", 0, wrong.start) + 1
            return InputError(
                f"expected UTF-8 in {path}, which declares no encoding, got byte {data[wrong.start]:#x} in line "
                f"{line}: save it as UTF-8"
            )
    lines = data.splitlines()[line - 1 : line]
    text = lines[0].decode(errors="backslashreplace")[column:].strip()[:40] if lines else ""
    got = f"{text!r} in line {line}" if text else f"an end in line {line}"
    return InputError(f"expected XML in {path}, got {got}, which can't stand there: fix it, or export it again")
