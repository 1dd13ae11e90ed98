"""Object code made executable without LLVM's loader, whose import takes 30 ms, where the code is simple enough.

Kernels for x86-64 hold addresses of 64 bits alone. What is left to do then is to copy their sections into memory, and
to write down where the sections, and the functions of the C library, have come to lie.

The format is that of the System V ABI: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from fastbox.kernels.build.call import ENTRY, RELEASE

_HEAD = b"\x7fELF\x02\x01\x01"  # 64 bits, little-endian
_KIND = (1, 62)  # not linked, for x86-64
_CONTENT, _SYMBOLS, _RELOCATIONS = 1, 2, 4  # types of sections
_WRITABLE, _IN_MEMORY = 1, 2  # flags of sections
_ELSEWHERE = 0  # instead of the section of a symbol
_ADDRESS = 1  # a type of relocation: 64 bits become an address
_READ_AND_EXECUTE = 5


class _Section(NamedTuple):
    """A part of object code, by the fields of its header that count here."""

    type: int
    flags: int
    start: int
    size: int
    link: int
    info: int
    alignment: int


def loaded(code: bytes, symbol: str) -> tuple[Any, Any] | None:
    """Return the entry of a kernel in object code, and what frees its results; None where LLVM must load the code."""
    if not code.startswith(_HEAD) or struct.unpack_from("<HH", code, 16) != _KIND:
        return None
    (table,), (count,) = struct.unpack_from("<Q", code, 40), struct.unpack_from("<H", code, 60)
    sections = [_Section(*struct.unpack_from("<4xIQ8xQQIIQ", code, table + 64 * k)) for k in range(count)]
    offsets, size = _laid_out(sections)
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    library = ctypes.CDLL(None)
    try:
        symbols = list(_symbols(code, sections, {number: base + offset for number, offset in offsets.items()}, library))
        for number, offset in offsets.items():
            memory[offset : offset + sections[number].size] = _content(code, sections[number])
        for section in sections:
            if section.type == _RELOCATIONS and section.info in offsets:
                for place, kind, number, more in struct.iter_unpack("<QIIq", _content(code, section)):
                    _, address = symbols[number]
                    if kind != _ADDRESS or address is None:
                        return None
                    struct.pack_into("<Q", memory, offsets[section.info] + place, address + more)
    except AttributeError:  # a function that the process does not have
        return None
    if library.mprotect(ctypes.c_void_p(base), ctypes.c_size_t(size), _READ_AND_EXECUTE):
        return None
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))  # for good: threads may run the code while Python ends
    named: dict[str, Any] = dict(symbols)
    return ENTRY(named[symbol]), RELEASE(named[f"{symbol}.release"])


def _laid_out(sections: Sequence[_Section]) -> tuple[dict[int, int], int]:
    """Return where each section goes that code needs to run, by its number, and the bytes of all."""
    offsets, size = {}, 0
    for number, section in enumerate(sections):
        if section.type == _CONTENT and section.flags & (_IN_MEMORY | _WRITABLE) == _IN_MEMORY:
            offsets[number] = -(-size // section.alignment) * section.alignment
            size = offsets[number] + section.size
    return offsets, size


def _symbols(
    code: bytes, sections: Sequence[_Section], places: Mapping[int, int], library: ctypes.CDLL
) -> Iterator[tuple[str, int | None]]:
    """Yield the name and the address of each symbol; the address is None where nothing lies in memory."""
    table = next(section for section in sections if section.type == _SYMBOLS)
    names = _content(code, sections[table.link])
    for first, section, value in struct.iter_unpack("<I2xHQ8x", _content(code, table)):
        name = names[first : names.index(0, first)].decode()
        if section == _ELSEWHERE and name:
            yield name, ctypes.cast(library[name], ctypes.c_void_p).value
        else:
            yield name, places[section] + value if section in places else None


def _content(code: bytes, section: _Section) -> bytes:
    return code[section.start : section.start + section.size]
