"""Bits of floats as integers, and back."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastbox.kernels.build import bits


def _reinterpreted(kind, element):
    def typed(typing, x):
        def emit(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], element)

        return kind(x), emit

    return typed


_bits_of = intrinsic(_reinterpreted(types.int64, ir.IntType(64)))
_float_of = intrinsic(_reinterpreted(types.float64, ir.DoubleType()))


@overload(bits.bits_of)
def _overload_bits_of(x):
    return lambda x: _bits_of(np.float64(x))


@overload(bits.float_of)
def _overload_float_of(bits):
    return lambda bits: _float_of(np.int64(bits))


@overload(bits.integers_of)
def _overload_integers_of(values):
    integer = np.int32 if values.dtype.bitwidth == 32 else np.int64
    return lambda values: values.view(integer)


def _ordered(less):
    def typed(typing, x):
        width = x.bitwidth
        element = ir.IntType(width)

        def emit(context, builder, signature, arguments):
            return builder.sub(builder.bitcast(arguments[0], element), element(less))

        return (types.uint32 if width == 32 else types.uint64)(x), emit

    return typed


_ordered_bits, _ordered_bits_less_one = intrinsic(_ordered(0)), intrinsic(_ordered(1))


@overload(bits.ordered_bits)
def _overload_ordered_bits(x):
    return lambda x: _ordered_bits(x)


@overload(bits.ordered_bits_less_one)
def _overload_ordered_bits_less_one(x):
    return lambda x: _ordered_bits_less_one(x)
