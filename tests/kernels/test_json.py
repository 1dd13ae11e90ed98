"""Kernels that read JSON: numbers as float() reads them, and values skipped where Python's json reads them."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastbox.kernels.json.codes import (
    AT,
    CLOSED,
    END,
    FILLED,
    FULL,
    HINT,
    LEFT,
    LIMIT,
    LIMITED,
    NAME,
    ODD,
    REAL,
    REASON,
    REQUIRED,
    ROWS,
    SHORT,
    TEXT,
    WHOLE,
)
from fastbox.kernels.json.elements import ELEMENTS, SKIP

KEY = (np.dtype(np.float64), "")
DAMAGE = b'{}[],:"0123456789.-+eE \n\t\\tfnu\x00\x1f\xff'
PADDING = bytes(256)


def buffer(raw: bytes) -> Any:
    return np.frombuffer(bytearray(raw + PADDING), np.uint8)


def read(raw: bytes, form: int, rows: int = 64) -> tuple[Any, list[Any]]:
    """Return the state, and the values of the field "a" of each element of a list."""
    table = np.zeros((1, NAME + 1), np.uint8)
    table[0] = 1, form, 0, 0, ord("a")
    state = np.zeros(FILLED + 1, np.int64)
    state[[AT, LIMIT, END, REQUIRED]] = 1, len(raw) + 1, len(raw), 1
    columns = np.zeros((int(form != REAL), rows), np.int64), np.zeros((int(form == REAL), rows))
    chars, left = np.zeros((int(form == TEXT), 4096), np.uint8), np.zeros((rows + 8, 4), np.int64)
    ELEMENTS[KEY](buffer(raw), state, table, columns, (chars, np.zeros(rows, np.int64)), left)
    for row, column, begin, end in left[: state[LEFT]].tolist():
        columns[1][column, row] = float(raw[begin:end])
    if form == TEXT:
        ends = columns[0][0, : state[ROWS]]
        return state, [bytes(chars[0, first:last]).decode() for first, last in zip([0, *ends[:-1]], ends, strict=True)][
            : state[ROWS]
        ]
    return state, columns[int(form == REAL)][0, : state[ROWS]].tolist()


def elements(values: list[str]) -> bytes:
    return ("[" + ", ".join(f'{{"a": {value}}}' for value in values) + "]").encode()


def skip(raw: bytes) -> Any:
    state = np.zeros(FILLED, np.int64)
    state[END] = len(raw)
    SKIP[KEY](buffer(raw), state)
    return state


@st.composite
def halfway(draw: st.DrawFn) -> str:
    """Numbers halfway between two of float64, or next to halfway, in as many digits as are drawn."""
    middle = Fraction(2 * draw(st.integers(1 << 52, (1 << 53) - 1)) + 1) * Fraction(2) ** draw(st.integers(-120, 60))
    with localcontext(prec=draw(st.integers(15, 40))):
        return str(Decimal(middle.numerator) / Decimal(middle.denominator)).replace("E", "e")


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    halfway(),
    st.from_regex(r"-?(0|[1-9][0-9]{0,22})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.builds("0.{}{}".format, st.integers(0, 25).map("0".__mul__), st.integers(0, 2**64)),
)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
@example(["-0", "-0.0", "0e5", "9007199254740993", "9007199254740992.5", "1e22", "1e23", "8.5e-5"])
def test_numbers_are_those_of_python(values: list[str]) -> None:
    state, found = read(elements(values), REAL)
    assert state[REASON] == CLOSED
    wanted = [float(json.loads(value)) for value in values]
    assert np.array(found).tobytes() == np.array(wanted).tobytes()


@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=20))
def test_whole_numbers_are_exact(values: list[int]) -> None:
    state, found = read(elements(list(map(str, values))), WHOLE)
    assert (state[REASON], found) == (CLOSED, values)


@pytest.mark.parametrize("value", ["1.0", "1e3", "01", "9223372036854775808", "99999999999999999999", '"1"', "true"])
def test_other_numbers_are_not_taken_for_whole_ones(value: str) -> None:
    state, found = read(elements(["1", value]), WHOLE)
    assert (state[REASON], found) == (ODD, [1])


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8), st.booleans())
@example(['😀é\n"\\/', "", "\u2028\x7f"], True)
def test_texts_are_those_of_python(values: list[str], escaped: bool) -> None:
    state, found = read(elements([json.dumps(value, ensure_ascii=escaped) for value in values]), TEXT)
    assert (state[REASON], found) == (CLOSED, values)


@pytest.mark.parametrize("value", ['"\\ud800"', '"\\udc00\\ud800"', '"\\x"', '"a\nb"', '"\\u12g4"', '"\\ud800\\u0041"'])
def test_invalid_texts_and_half_surrogate_pairs_are_not_taken(value: str) -> None:
    state, found = read(elements(['"a"', value]), TEXT)
    assert (state[REASON], found) == (ODD, ["a"])
    assert skip(value.encode())[REASON] == ODD


def test_full_columns_and_a_limit_end_before_an_element() -> None:
    raw = elements(["1", "2", "3"])
    state, found = read(raw, WHOLE, rows=2)
    assert (state[REASON], found, state[AT]) == (FULL, [1, 2], raw.index(b'{"a": 3'))


@pytest.mark.parametrize("raw", [b'[{"b": 1}]', b'[{"a": null}]', b'[{"a": 1, "a": 2}]', b"[{}]", b'[{"\\u0061": 1}]'])
def test_elements_that_lack_the_field_or_repeat_it_are_not_taken(raw: bytes) -> None:
    assert read(raw, WHOLE)[0][REASON] == ODD


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=9)
    | st.lists(st.floats(-1000, 1000).map(lambda x: round(x, 2)), max_size=40) | st.just("ignore"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=7), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


@given(VALUES, STYLES, st.data())
def test_values_are_skipped_as_python_reads_them(value: Any, style: dict[str, Any], data: st.DataObject) -> None:
    raw = json.dumps(value, **style).encode("utf-8", "surrogatepass")
    state = skip(raw)
    assert (state[REASON], state[AT]) == (LIMITED, len(raw))
    assert state[HINT] == (b'"ignore"' in raw)
    cut = raw[: data.draw(st.integers(0, len(raw)), label="cut")]
    assert skip(cut)[REASON] in (SHORT, LIMITED)
    damaged = bytearray(raw)
    place = data.draw(st.integers(0, len(raw)), label="place")
    damaged[place : place + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(DAMAGE), max_size=2))
    state, text = skip(bytes(damaged)), bytes(damaged).decode("latin-1")
    if state[REASON] == LIMITED:
        assert json.JSONDecoder().raw_decode(text)[1] == state[AT]
    elif text[:1].strip(" \n\t\r") and "\\ud" not in text:  # a value begins there, without half a surrogate pair
        with pytest.raises(ValueError, match=r"line 1|line \d+"):
            json.loads(text)


LISTS = """
[1,2.5,-3] | [1, 2.5, -3] | [0.5,0,-0.25] | [1.2.3] | [01] | [-01.5] | [1,,2] | [1, ] | [ 1] | [1 ] | [-] | [1.] | [.5]
[1e5,2] | [1,[2]] | [1  ,2] | [1,  2] | [--1] | [1-2] | [1.5e3.2] | [1,2 | [1,2} | [1.5,2.] | [00.5] | [1,-] | [1-]
"""


@pytest.mark.parametrize("ahead", [0, 1, 55, 61, 62, 63, 64, 120])
@pytest.mark.parametrize("text", LISTS.strip().replace("\n", " | ").split(" | "))
def test_lists_of_numbers_are_those_of_python_wherever_they_lie(text: str, ahead: int) -> None:
    """Such lists are read 64 bytes at a time: what is wrong may lie on the border of two such parts."""
    raw = f"[{'7,' * (ahead // 2)}{'71'[: ahead % 2]}{',' if ahead % 2 else ''}{text[1:]}"
    try:
        json.loads(raw)
    except ValueError:
        assert skip(raw.encode())[REASON] in (SHORT, ODD)
    else:
        assert skip(raw.encode())[AT] == len(raw)
