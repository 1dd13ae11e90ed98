"""The memory of large results that are gone holds the next ones, and never two at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastbox
from fastbox.values import spare
from fastbox.values.spare import LEAST, MOST, empty

SIZE = LEAST // 4  # float32


@pytest.fixture(autouse=True)
def _none_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "_kept", [])


def place_of(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def kept() -> int:
    return sum(memory.nbytes for memory in spare._kept)


def test_memory_of_a_result_that_is_gone_is_used_again() -> None:
    first = empty(SIZE, np.float32)
    place = place_of(first)
    del first
    assert place_of(empty(SIZE * 5 // 4, np.float32)) != place
    again = empty((SIZE // 4, 4), "float32")
    assert place_of(again) == place
    assert (again.shape, again.dtype) == ((SIZE // 4, 4), np.float32)
    assert again.flags.c_contiguous and again.flags.writeable and again.flags.aligned


def test_memory_that_anything_shows_is_not_used_again() -> None:
    first = empty((SIZE, 2), np.float32)
    first[:] = 7
    column = first[:, 1]
    shown: Any = memoryview(first[5:6])
    del first
    others = [empty((SIZE, 2), np.float32) for _ in range(3)]
    for other in others:
        other[:] = 9
    assert_array_equal(column, 7)
    assert shown[0, 0] == 7
    assert len({place_of(other) for other in others}) == 3


def test_memory_is_hardly_longer_than_its_result() -> None:
    for size, same in ((SIZE * 8 // 9 + 1, True), (SIZE * 7 // 8 - 1, False)):
        first = empty((SIZE, 4), np.float32)
        place = place_of(first)
        del first
        assert (place_of(empty((size, 4), np.float32)) == place) is same


def test_small_and_vast_results_have_memory_of_their_own() -> None:
    for size in (SIZE - 1, MOST // 4 + 1):
        found = empty(size, np.float32)
        assert found.flags.owndata
        assert not kept()


def test_little_memory_is_kept() -> None:
    many = [empty((SIZE, 8), np.float32) for _ in range(2 * MOST // (8 * LEAST))]
    assert MOST - 8 * LEAST < kept() <= MOST
    first, last = place_of(many[0]), place_of(many[-1])
    del many
    assert place_of(empty((SIZE, 8), np.float32)) == last
    assert first not in {place_of(memory) for memory in spare._kept}


def test_no_code_runs_at_the_end_of_a_result() -> None:
    """An interrupt that came during the call before would be raised in it, and lost."""
    found = empty(SIZE, np.float32)
    assert type(found.base) is np.ndarray and type(found) is np.ndarray
    assert found.base.base is None


def test_threads_never_share_the_memory_of_a_result() -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(60):
            found = empty(SIZE + 1000 * (turn % 3), np.float32)
            found[::997] = number
            if not (found[::997] == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert kept() <= MOST


@pytest.mark.jit
def test_results_of_calls_lie_in_it() -> None:
    a = np.array([[0, 0, 2, 2], [1, 0, 3, 2]] * 600, np.float32)
    first: Any = fastbox.pairwise(a, a)
    place, right = place_of(first), first.copy()
    del first
    again = fastbox.pairwise(a, a)
    assert place_of(again) == place
    assert_array_equal(again, right)
    other = fastbox.pairwise(a, a[::-1])
    assert_array_equal(again, right)
    assert_array_equal(other, right[:, ::-1])
