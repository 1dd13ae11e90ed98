"""Masks, by comparing vectors."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fastbox.kernels.build.intrinsics.in_place import in_place_of
from fastbox.kernels.build.masks import WIDTH, above, at_most, below, between, eight, lowest


def every(builder, value, vector):
    """Return a vector with one value in every place."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)


def _compared(how):
    def typed(typing, values, at, count, limit):
        def emit(context, builder, signature, arguments):
            vector = ir.VectorType(context.get_data_type(values.dtype), count.literal_value)
            source = context.make_array(values)(context, builder, arguments[0]).data
            place = builder.bitcast(builder.gep(source, [arguments[1]]), vector.as_pointer())
            met = builder.load(place, align=values.dtype.bitwidth // 8)
            found = builder.fcmp_ordered(how, met, every(builder, arguments[3], vector))
            mask = builder.bitcast(found, ir.IntType(vector.count))
            return mask if vector.count == WIDTH else builder.zext(mask, ir.IntType(WIDTH))

        return types.uint64(values, types.intp, count, values.dtype), emit

    return typed


in_place_of(above, prefer_literal=True)(_compared(">"))
in_place_of(below, prefer_literal=True)(_compared("<"))
in_place_of(at_most, prefer_literal=True)(_compared("<="))


@in_place_of(between)
def _between(typing, data, at, low, high):
    def emit(context, builder, signature, arguments):
        vector = ir.VectorType(ir.IntType(8), WIDTH)
        source = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(source, [arguments[1]]), vector.as_pointer())
        values = builder.load(place, align=1)

        low, high = (builder.trunc(value, ir.IntType(8)) for value in arguments[2:])
        beyond, most = builder.sub(values, every(builder, low, vector)), builder.sub(high, low)
        inside = builder.icmp_unsigned("<=", beyond, every(builder, most, vector))
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
