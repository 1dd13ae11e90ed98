"""Bits of floats as integers, and back."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from fastbox.kernels.build import bits
from fastbox.kernels.build.intrinsics.in_place import in_place_of


def _reinterpreted(kind, source, element):
    def typed(typing, x):
        def emit(context, builder, signature, arguments):
            return builder.bitcast(arguments[0], element)

        return kind(source), emit

    return typed


in_place_of(bits.bits_of)(_reinterpreted(types.int64, types.float64, ir.IntType(64)))
in_place_of(bits.float_of)(_reinterpreted(types.float64, types.int64, ir.DoubleType()))


@overload(bits.integers_of)
def _overload_integers_of(values):
    integer = np.int32 if values.dtype.bitwidth == 32 else np.int64
    return lambda values: values.view(integer)


@overload(bits.ordered_view)
def _overload_ordered_view(values):
    integer = np.uint32 if values.dtype.bitwidth == 32 else np.uint64
    return lambda values: values.view(integer)


def _ordered(less):
    def typed(typing, x):
        width = x.bitwidth
        element = ir.IntType(width)

        def emit(context, builder, signature, arguments):
            return builder.sub(builder.bitcast(arguments[0], element), element(less))

        return (types.uint32 if width == 32 else types.uint64)(x), emit

    return typed


in_place_of(bits.ordered_bits)(_ordered(0))
in_place_of(bits.ordered_bits_less_one)(_ordered(1))


def _from_ordered(typing, whole):
    element, kind = (ir.FloatType(), types.float32) if whole.bitwidth == 32 else (ir.DoubleType(), types.float64)

    def emit(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], element)

    return kind(whole), emit


in_place_of(bits.from_ordered_bits)(_from_ordered)


def _not_negative(typing, x):
    element = ir.IntType(x.bitwidth)

    def emit(context, builder, signature, arguments):
        (number,) = arguments
        if x.bitwidth == 64 and not has_avx512(context.codegen()):
            zero = number.type(0)
            return builder.select(builder.fcmp_ordered(">", number, zero), number, zero)
        whole, zero = builder.bitcast(number, element), element(0)
        return builder.bitcast(builder.select(builder.icmp_signed(">", whole, zero), whole, zero), number.type)

    return x(x), emit


def _multiply_add(typing, x, y, z):
    def emit(context, builder, signature, arguments):
        element = arguments[0].type
        function = builder.module.declare_intrinsic("llvm.fmuladd", [element], ir.FunctionType(element, [element] * 3))
        return builder.call(function, arguments)

    return x(x, y, z), emit


def has_avx512(codegen):
    """Tell whether the processor that code is made for has AVX-512.

    It chooses the greater of integers of 64 bits, and any numbers of two registers, in one instruction.
    """
    return codegen._get_host_cpu_name() == "x86-64-v4" or "+avx512vl" in codegen._get_host_cpu_features()


in_place_of(bits.multiply_add)(_multiply_add)
in_place_of(bits.not_negative)(_not_negative)
