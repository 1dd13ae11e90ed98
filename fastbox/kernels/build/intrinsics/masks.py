"""Masks of 64 bytes, by comparing vectors."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fastbox.kernels.build.intrinsics.in_place import in_place_of
from fastbox.kernels.build.masks import WIDTH, between, eight, lowest


@in_place_of(between)
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


@in_place_of(lowest)
def _lowest(typing, mask):
    def emit(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), emit


@in_place_of(eight)
def _eight(typing, data, at):
    def emit(context, builder, signature, arguments):
        source = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(source, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(place, align=1)

    return types.uint64(data, types.intp), emit
