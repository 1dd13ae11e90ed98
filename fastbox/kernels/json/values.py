"""Values of JSON, checked and skipped. Bytes end with zeros, which end every value, so that no loop looks for the end.

A function returns the place behind what it skips, or ~place of the byte that can't stand there: at the end of the
bytes, or in JSON that is invalid or unusual.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device
from fastbox.kernels.build.masks import WIDTH, between, lowest
from fastbox.kernels.json.codes import HINT

SPACE, QUOTE, COMMA, MINUS, PLUS, POINT, ZERO, COLON = 32, 34, 44, 45, 43, 46, 48, 58
OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN, CLOSE = 91, 92, 93, 123, 125
E, UPPER_E, F, N, T, U = 101, 69, 102, 110, 116, 117
ZEROS, ONE, LAST = np.uint64(0), np.uint64(1), np.uint64(WIDTH - 1)
REST = np.uint64((1 << WIDTH - 1) - 1)  # all bits but the last
IGNORE = tuple(b"ignore")
DEEPEST = 60  # the levels of nested values, a bit for each


@device
def byte(data, at):
    """Return the byte at a place."""
    return int(data[np.uint64(at)])


@device
def is_digit(data, at):
    """Tell whether a decimal digit stands at a place."""
    return 0 <= byte(data, at) - ZERO <= 9


@device
def space(data, at):
    """Return the place of the next byte that is not white space."""
    while byte(data, at) <= SPACE and (
        byte(data, at) == SPACE or byte(data, at) == 10 or byte(data, at) == 13 or byte(data, at) == 9
    ):
        at += 1
    return at


@device
def hexadecimal(data, at):
    """Return the number that four hexadecimal digits make, or ~place of another byte."""
    number = 0
    for place in range(at, at + 4):
        digit = byte(data, place) - ZERO
        if not 0 <= digit <= 9:
            digit = (byte(data, place) | 32) - 87
            if not 10 <= digit <= 15:
                return ~place
        number = number * 16 + digit
    return number


@device
def escape(data, at):
    """Return the place behind an escape, and its code point; half a surrogate pair counts as unusual."""
    code = byte(data, at + 1)
    if code == U:
        number = hexadecimal(data, at + 2)
        if number < 0 or number >> 10 == 55:
            return number if number < 0 else ~at, 0
        if number >> 10 != 54:
            return at + 6, number
        if byte(data, at + 6) != BACKSLASH or byte(data, at + 7) != U:
            return ~(at + 6 + (byte(data, at + 6) == BACKSLASH)), 0
        low = hexadecimal(data, at + 8)
        if low < 0 or low >> 10 != 55:
            return low if low < 0 else ~at, 0
        return at + 12, 0x10000 + ((number & 0x3FF) << 10 | low & 0x3FF)
    if code == QUOTE or code == BACKSLASH or code == 47:
        return at + 2, code
    if code == 98:
        return at + 2, 8
    if code == F:
        return at + 2, 12
    if code == N:
        return at + 2, 10
    if code == 114:
        return at + 2, 13
    return at + 2 if code == T else ~(at + 1), 9


@device
def plain(data, at):
    """Return the place of the next byte that ends a text, begins an escape or may not stand in a text."""
    while byte(data, at) >= SPACE and byte(data, at) != QUOTE and byte(data, at) != BACKSLASH:
        at += 1
    return at


@device
def note(data, begin, stop, state):
    """Note in the state that a text ends with "ignore" behind a quote, its own first one or one in it."""
    if stop - begin >= len(IGNORE) and byte(data, stop - 1) == E and byte(data, stop - len(IGNORE) - 1) == QUOTE:
        same = True
        for place in range(len(IGNORE)):
            same &= byte(data, stop - len(IGNORE) + place) == IGNORE[place]
        if same:
            state[HINT] = 1


@device
def text(data, at, state):
    """Skip a text, from behind its first quote."""
    begin = at
    while True:
        at = plain(data, at)
        if byte(data, at) != BACKSLASH:
            break
        at, _ = escape(data, at)
        if at < 0:
            return at
    if byte(data, at) != QUOTE:
        return ~at
    note(data, begin, at, state)
    return at + 1


@device
def digits(data, at):
    """Return the place behind the digits at a place; the place itself where none stand."""
    while is_digit(data, at):
        at += 1
    return at


@device
def number(data, at):
    """Skip a number."""
    if byte(data, at) == MINUS:
        at += 1
    stop = at + 1 if byte(data, at) == ZERO else digits(data, at)
    if stop == at:
        return ~at
    at = stop
    if byte(data, at) == POINT:
        stop = digits(data, at + 1)
        if stop == at + 1:
            return ~stop
        at = stop
    if byte(data, at) | 32 == E:
        at += 1
        if byte(data, at) == PLUS or byte(data, at) == MINUS:
            at += 1
        stop = digits(data, at)
        if stop == at:
            return ~at
        at = stop
    return at


@device
def numbers(data, at):
    """Return the place of the bracket that closes a list of numbers; the same place if the list has anything else.

    Numbers without an exponent are told by masks of 64 bytes; a comma may have one space behind it. Each mask `after_x`
    has the bytes behind an x, and takes its first bit from the bytes before.
    """
    begin = at
    digit, point, comma, blank, zero, fraction = ZEROS, ZEROS, ONE, ZEROS, ZEROS, ZEROS
    while True:
        digits, points, commas = between(data, at, ZERO, 57), between(data, at, POINT, POINT), between(data, at, 44, 44)
        signs, blanks = between(data, at, MINUS, MINUS), between(data, at, SPACE, SPACE)
        after_digit, after_point = digits << ONE | digit, points << ONE | point
        after_comma, after_blank = commas << ONE | comma, blanks << ONE | blank
        stops = ~(digits | points | commas | signs | blanks)
        zeros = digits & ~(after_digit | after_point) & between(data, at, ZERO, ZERO)
        wrong = (points | commas | stops) & ~after_digit | signs & ~(after_comma | after_blank)
        wrong |= blanks & ~after_comma | (zeros << ONE | zero) & digits
        # The sum carries a bit through the digits behind each point, to the byte behind them.
        first = after_point & digits
        low = (first & REST) + (digits & REST) + fraction
        behind = low ^ ((first ^ digits) & ~REST)
        wrong |= behind & ~digits & points
        if stops != ZEROS:
            stop = lowest(stops)
            closes = byte(data, at + stop) == CLOSE_LIST and wrong & (stops ^ (stops - ONE)) == ZEROS
            return at + stop if closes else begin
        if wrong != ZEROS:
            return begin
        digit, point, comma, blank = digits >> LAST, points >> LAST, commas >> LAST, blanks >> LAST
        zero, fraction = zeros >> LAST, (first & digits | (first | digits) & ~behind) >> LAST
        at += WIDTH


@device
def word(data, at):
    """Skip true, false or null."""
    first = byte(data, at)
    if first == T:
        second, third, fourth, stop = 114, U, E, at + 4
    elif first == N:
        second, third, fourth, stop = U, 108, 108, at + 4
    elif first == F:
        second, third, fourth, stop = 97, 108, 115, at + 5
    else:
        return ~at
    for place, wanted in ((at + 1, second), (at + 2, third), (at + 3, fourth), (stop - 1, 108 if first == N else E)):
        if byte(data, place) != wanted:
            return ~place
    return stop


@device
def key(data, at, state):
    """Skip white space, a key, its colon and white space."""
    at = space(data, at)
    if byte(data, at) != QUOTE:
        return ~at
    at = text(data, at + 1, state)
    if at < 0:
        return at
    at = space(data, at)
    return space(data, at + 1) if byte(data, at) == COLON else ~at


@device
def value(data, at, state):
    """Skip a value."""
    depth, objects = 0, 0
    while True:
        first = byte(data, at)
        if first == MINUS or 0 <= first - ZERO <= 9:
            at = number(data, at)
        elif first == QUOTE:
            at = text(data, at + 1, state)
        elif first == OPEN_LIST or first == OPEN:
            if depth == DEEPEST:
                return ~at
            depth += 1
            objects = objects << 1 | (first == OPEN)
            at = space(data, at + 1)
            if first == OPEN_LIST:
                at = numbers(data, at)
            if byte(data, at) != first + 2:
                if first == OPEN:
                    at = key(data, at, state)
                    if at < 0:
                        return at
                continue
        else:
            at = word(data, at)
        if at < 0:
            return at
        while True:
            if depth == 0:
                return at
            at = space(data, at)
            if byte(data, at) == COMMA:
                at = key(data, at + 1, state) if objects & 1 else space(data, at + 1)
                if at < 0:
                    return at
                break
            if byte(data, at) != (CLOSE if objects & 1 else CLOSE_LIST):
                return ~at
            depth -= 1
            objects >>= 1
            at += 1
