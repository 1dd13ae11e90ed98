"""Masks of 64 bytes: which of them lie in a range, a bit for each, by comparing vectors."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

WIDTH = 64  # bytes that a mask tells of


def between(data, at, low, high):
    """Return which of the 64 bytes from a place on lie in a range, the first byte in the lowest bit."""
    found = 0
    for bit in range(WIDTH):
        found |= (low <= data[at + bit] <= high) << bit
    return np.uint64(found)


def lowest(mask):
    """Return the place of the lowest bit of a mask that is not 0."""
    whole = int(mask)
    return (whole & -whole).bit_length() - 1


@intrinsic
def _between(typing, data, at, low, high):
    def emit(context, builder, signature, arguments):
        vector = ir.VectorType(ir.IntType(8), WIDTH)
        source = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(source, [arguments[1]]), vector.as_pointer())
        values = builder.load(place, align=1)

        def every(value):
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        low, high = (builder.trunc(value, ir.IntType(8)) for value in arguments[2:])
        inside = builder.icmp_unsigned("<=", builder.sub(values, every(low)), every(builder.sub(high, low)))
        return builder.bitcast(inside, ir.IntType(WIDTH))

    return types.uint64(data, types.intp, types.intp, types.intp), emit


@intrinsic
def _lowest(typing, mask):
    def emit(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), emit


@overload(between)
def _overload_between(data, at, low, high):
    return lambda data, at, low, high: _between(data, at, low, high)


@overload(lowest)
def _overload_lowest(mask):
    return lambda mask: _lowest(mask)
