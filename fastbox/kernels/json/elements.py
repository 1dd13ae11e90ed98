"""Elements of a list of JSON objects as rows of columns, and the skipping of one value.

Functions that are called for each field are inlined.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import between, lowest
from fastbox.kernels.build.types import group, i8, vector
from fastbox.kernels.json.codes import (
    AT,
    BOX,
    CLOSED,
    END,
    FILLED,
    FLAG,
    FOLLOWER,
    FULL,
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
    SIZE,
    TEXT,
)
from fastbox.kernels.json.decimals import MOST_DIGITS, ONE, WHOLE_POWERS, scaled, some_digits
from fastbox.kernels.json.values import (
    BACKSLASH,
    CLOSE,
    CLOSE_LIST,
    COLON,
    COMMA,
    MINUS,
    OPEN,
    OPEN_LIST,
    PLUS,
    POINT,
    QUOTE,
    ZERO,
    E,
    F,
    N,
    T,
    byte,
    escape,
    is_digit,
    note,
    plain,
    space,
    text,
    value,
    word,
)

LARGEST_WHOLE = (1 << 63) - 1
NONE, SECOND = np.uint64(0), np.uint64(2)


@inlined
def decimal(data, at):
    """Return the place behind a number, its significand and power of ten, and the count of its digits.

    The power is 1 for a number without point and exponent. A count above MOST_DIGITS + 1 comes without a significand.
    """
    begin = at + 1 if byte(data, at) == MINUS else at
    others = ~between(data, begin, ZERO, 57)
    if others == NONE or (byte(data, begin) == ZERO and others & SECOND == NONE):
        return ~(begin + 1), 0, 0, 0  # digits behind a zero, or more than 63 digits
    before = lowest(others)
    at = begin + before
    if before == 0:
        return ~at, 0, 0, 0
    behind = 0
    if byte(data, at) == POINT:
        others = others >> np.uint64(before) >> ONE
        behind = lowest(others) if others != NONE else 0
        at += 1 + behind
        if behind == 0:
            return ~at, 0, 0, 0
    count, power = before + behind, -behind if behind else 1
    if count <= MOST_DIGITS:
        significand = some_digits(data, begin, before)
        if behind:
            significand = significand * WHOLE_POWERS[behind] + some_digits(data, at - behind, behind)
    else:
        significand, count = 0, 0
        for place in range(begin, at):
            if is_digit(data, place) and (count or byte(data, place) != ZERO):
                count += 1
                if count <= MOST_DIGITS + 1:
                    significand = significand * 10 + byte(data, place) - ZERO
    if byte(data, at) | 32 == E:
        at += 1
        negative = byte(data, at) == MINUS
        if negative or byte(data, at) == PLUS:
            at += 1
        first, exponent = at, 0
        while is_digit(data, at):
            exponent = min(exponent * 10 + byte(data, at) - ZERO, 9999)
            at += 1
        if at == first:
            return ~at, 0, 0, 0
        power = (0 if power == 1 else power) + (-exponent if negative else exponent)
        count = count if power != 1 else MOST_DIGITS + 2
    return at, significand, power, count


@device
def encoded(code, chars, column, filled):
    """Append a code point to a column of texts in UTF-8, and return the new count of bytes."""
    if code < 0x80:
        chars[column, filled] = code
        return filled + 1
    if code < 0x800:
        chars[column, filled] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            chars[column, filled] = 0xE0 | code >> 12
        else:
            chars[column, filled] = 0xF0 | code >> 18
            filled += 1
            chars[column, filled] = 0x80 | code >> 12 & 63
        filled += 1
        chars[column, filled] = 0x80 | code >> 6 & 63
    chars[column, filled + 1] = 0x80 | code & 63
    return filled + 2


@device
def copied(data, at, chars, column, state):
    """Append a text, from behind its first quote; return the place behind it, and the new count of bytes."""
    begin, filled = at, state[FILLED + column]
    while True:
        stop = plain(data, at)
        for place in range(at, stop):
            chars[column, filled + place - at] = byte(data, place)
        filled += stop - at
        if byte(data, stop) != BACKSLASH:
            break
        at, code = escape(data, stop)
        if at < 0:
            return at, filled
        filled = encoded(code, chars, column, filled)
    if byte(data, stop) != QUOTE:
        return ~stop, filled
    note(data, begin, stop, state)
    return stop + 1, filled


@device
def is_named(data, begin, fields, field):
    """Tell whether a name and a quote stand at a place."""
    length, place = int(fields[field, 0]), 0
    while place < length and fields[field, NAME + place] == data[np.uint64(begin + place)]:
        place += 1
    return place == length and byte(data, begin + length) == QUOTE


@inlined
def field_of(data, begin, stop, fields):
    """Return the place of a name in the table of fields: -1 if it is not there, -2 for a name with an escape."""
    for field in range(len(fields)):
        if is_named(data, begin, fields, field):
            return field
    for place in range(begin, stop):
        if byte(data, place) == BACKSLASH:
            return -2
    return -1


@inlined
def stored(data, at, row, field, columns, left, state):
    """Store a number, a flag or a box in the columns of a row; return the place behind it."""
    wholes, reals = columns
    form, column = field
    if form == FLAG and (byte(data, at) == T or byte(data, at) == F):
        wholes[column, row] = byte(data, at) == T
        return word(data, at)
    if form == BOX:
        if byte(data, at) != OPEN_LIST:
            return ~at
        at = space(data, at + 1)
    last = 3 if form == BOX else 0
    for place in range(last + 1):
        begin = at
        at, significand, power, count = decimal(data, begin)
        if at < 0:
            return at
        negative = byte(data, begin) == MINUS
        if form < REAL:
            if power != 1 or count > MOST_DIGITS + 1 or not 0 <= significand <= LARGEST_WHOLE:
                return ~begin
            if form == SIZE and (significand >= 1 << 31 or negative):
                return ~begin
            wholes[column, row] = significand != 0 if form == FLAG else -significand if negative else significand
        else:
            number = -1.0 if count > MOST_DIGITS else scaled(significand, 0 if power == 1 else power)
            if number < 0:
                entry = state[LEFT]
                left[entry, 0], left[entry, 1], left[entry, 2], left[entry, 3] = row, column + place, begin, at
                state[LEFT] = entry + 1
            reals[column + place, row] = -number if negative and not (power == 1 and significand == 0) else number
        if form == BOX:
            at = space(data, at)
            if byte(data, at) != (CLOSE_LIST if place == last else COMMA):
                return ~at
            at = at + 1 if place == last else space(data, at + 1)
    return at


@device
def keep_texts(row, given, fields, wholes, state):
    """Keep the texts of a row in their columns; the text is empty where the field is not given."""
    for field in range(len(fields)):
        if fields[field, 1] == TEXT:
            column = int(fields[field, 2])
            if given >> field & 1:
                state[FILLED + column] = wholes[column, row]
            else:
                wholes[column, row] = state[FILLED + column]


@inlined
def element(data, at, row, fields, columns, texts, left, state):
    """Store the fields of an element in the columns of a row; return the place behind it."""
    chars, seen = texts
    wholes, _ = columns
    given, last = 0, len(fields) - 1
    if byte(data, at) != OPEN:
        return ~at
    at = space(data, at + 1)
    while True:
        if byte(data, at) != QUOTE:
            return ~at
        begin = at + 1
        field = int(fields[last, FOLLOWER])
        if is_named(data, begin, fields, field):
            at = begin + int(fields[field, 0]) + 1
        else:
            at = text(data, begin, state)
            if at < 0:
                return at
            field = field_of(data, begin, at - 1, fields)
            if field == -2:
                return ~begin
        if field >= 0:
            fields[last, FOLLOWER], last = field, field
        at = space(data, at)
        if byte(data, at) != COLON:
            return ~at
        at = space(data, at + 1)
        if field < 0:
            at = value(data, at, state)
        else:
            form, column, bit = int(fields[field, 1]), int(fields[field, 2]), 1 << field
            if given & bit:
                return ~begin
            if byte(data, at) == N and not (state[REQUIRED] & bit or form == FLAG):
                at = word(data, at)
            else:
                given |= bit
                if form != TEXT:
                    at = stored(data, at, row, (form, column), columns, left, state)
                elif byte(data, at) == QUOTE:
                    at, wholes[column, row] = copied(data, at + 1, chars, column, state)
                else:
                    return ~at
        if at < 0:
            return at
        at = space(data, at)
        if byte(data, at) == CLOSE:
            break
        if byte(data, at) != COMMA:
            return ~at
        at = space(data, at + 1)
    if given & state[REQUIRED] != state[REQUIRED]:
        return ~begin
    seen[row] = given
    keep_texts(row, given, fields, wholes, state)
    return at + 1


def elements(data, state, fields, columns, texts, left):
    """Read the elements of a list into columns, from the place of one up to the limit or the end of the list.

    Each row of the table of fields has the length of the name, the form, the column, the field that came next in the
    element before, and the name. A column of texts is
    the row of `chars`, and the row of `wholes` with the ends of the texts. `seen` has the fields that each element has,
    a bit for each field. `left` has the row, the column, and the bytes of each number left to the caller.
    """
    at, row = space(data, state[AT]), 0
    reason = FULL
    while row < len(texts[1]) and state[LEFT] + 4 * len(fields) <= len(left):
        if at >= state[LIMIT]:
            reason = LIMITED
            break
        before = state[LEFT]
        stop = element(data, at, row, fields, columns, texts, left, state)
        if stop >= 0:
            stop = space(data, stop)
            closed = byte(data, stop) == CLOSE_LIST
            if closed or byte(data, stop) == COMMA:
                row += 1
                at = stop + 1 if closed else space(data, stop + 1)
                if closed:
                    reason = CLOSED
                    break
                continue
            stop = ~stop
        state[LEFT] = before
        reason = SHORT if ~stop >= state[END] else ODD
        break
    state[AT], state[ROWS], state[REASON] = at, row, reason


def skip(data, state):
    """Skip a value: move the place of the state behind it."""
    stop = value(data, state[AT], state)
    state[REASON] = LIMITED if stop >= 0 else SHORT if ~stop >= state[END] else ODD
    state[AT] = stop if stop >= 0 else state[AT]


u1 = types.uint8
ELEMENTS = Kernel(
    elements,
    lambda t: types.void(
        vector(u1), vector(i8), vector(u1, 2), group(vector(i8, 2), vector(types.float64, 2)),
        group(vector(u1, 2), vector(i8)), vector(i8, 2),
    ),
    {"": {}},
)  # fmt: skip
SKIP = Kernel(skip, lambda t: types.void(vector(u1), vector(i8)), {"": {}})
