"""Arguments and results of entries, played by Python functions in place of machine code."""

from __future__ import annotations

import ctypes
import gc
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastbox.kernels.build import types
from fastbox.kernels.build.call import HEAD, RELEASE, caller
from fastbox.kernels.build.types import group, i8, readonly, vector

Words = tuple[Any, ...]


def kernel(
    signature: types.Signature, kinds: str, answer: Callable[[Words], list[int]], status: int = 0
) -> tuple[Callable[..., Any], list[Words], list[int]]:
    """Return the caller of a Python function, the words of its calls, and the memory that was freed."""
    seen: list[Words] = []
    freed: list[int] = []

    def entry(words: int, results: int | None) -> int:
        raw = ctypes.string_at(words, 8 * len(kinds))
        seen.append(struct.unpack(f"={kinds}", raw))
        for place, word in enumerate(answer(seen[-1])):
            ctypes.c_int64.from_address((results or 0) + 8 * place).value = word
        return status

    entered = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(entry)
    call = caller("made up", entered, RELEASE(freed.append), signature)
    return call, seen, freed


def test_tuples_lie_flat_and_numbers_are_words() -> None:
    signature = types.void(types.float32, group(i8, group(types.boolean, types.float64)), i8)
    call, seen, _ = kernel(signature, "dqqdq", lambda words: [])
    assert call(0.5, (np.int64(-7), (True, 1e300)), 2**62) is None
    assert seen == [(0.5, -7, 1, 1e300, 2**62)]


def test_an_array_is_the_address_of_its_fields() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    call, seen, _ = kernel(types.void(readonly(types.float32, 2)), "q", lambda words: [])
    call(array)
    ((fields,),) = seen
    assert fields == id(array) + HEAD
    data, dimensions = (ctypes.c_int64.from_address(fields + offset).value for offset in (0, 16))
    assert data == array.ctypes.data
    assert (ctypes.c_int64 * 2).from_address(dimensions)[:] == [3, 2]


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(3, np.float64), np.zeros((3, 1), np.float32), np.zeros(6, np.float32)[::2], np.zeros(3, ">f4")],
    ids=["dtype", "axes", "strides", "byte order"],
)
def test_an_array_of_another_type_is_refused(wrong: Any) -> None:
    call, seen, _ = kernel(types.void(vector(types.float32)), "q", lambda words: [])
    with pytest.raises(TypeError, match="than made up takes"):
        call(wrong)
    assert seen == []


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (types.int64, -5, -5),
        (types.boolean, 1, True),
        (types.boolean, 0, False),
        (types.uint64, -1, 2**64 - 1),
        (types.float64, struct.unpack("=q", struct.pack("=d", -0.125))[0], -0.125),
    ],
)
def test_a_number_comes_back(kind: Any, word: int, value: Any) -> None:
    call, _, _ = kernel(kind(i8), "q", lambda words: [word])
    found = call(0)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.jit
def test_the_memory_of_a_result_is_freed_with_its_last_view() -> None:
    held = np.arange(6, dtype=np.int64)
    start = held.ctypes.data
    gives = group(vector(i8), group(vector(i8, 2), types.int64))
    call, _, freed = kernel(gives(i8), "q", lambda words: [11, start, 6, 22, start, 2, 3, 9])
    whole, (table, nine) = call(0)
    assert whole.tolist() == list(range(6))
    assert table.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert nine == 9
    assert whole.flags.writeable
    view = whole[1:3]
    del whole
    gc.collect()
    assert freed == []
    del view
    gc.collect()
    assert freed == [11]
    del table
    gc.collect()
    assert freed == [11, 22]


def test_an_entry_that_finds_no_memory_raises() -> None:
    call, _, _ = kernel(types.void(i8), "q", lambda words: [], status=1)
    with pytest.raises(MemoryError):
        call(0)
