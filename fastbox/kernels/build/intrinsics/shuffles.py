"""Shuffles between rows and columns."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastbox.kernels.build import transpose
from fastbox.kernels.build.transpose import WIDE


def _vector(element, count):
    return ir.VectorType(element, count)


def _mask(places):
    i32 = ir.IntType(32)
    return ir.Constant(ir.VectorType(i32, len(places)), [i32(place) for place in places])


def _pointer(context, builder, array_type, array, index, count):
    """Return a pointer to a vector of `count` numbers of an array from an index on."""
    element = context.get_data_type(array_type.dtype)
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _vector(element, count).as_pointer())


def _transposed(builder, vectors):
    """Shuffle four vectors of two rows or two columns each, so that numbers 4 apart lie side by side.

    Each step shuffles pairs inside the halves of a register, which vector units do quickly.
    """
    a, b, c, d = vectors
    low, high = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
    first, second = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
    x, y = (builder.shuffle_vector(a, b, _mask(places)) for places in (low, high))
    z, w = (builder.shuffle_vector(c, d, _mask(places)) for places in (low, high))
    return [builder.shuffle_vector(p, q, _mask(places)) for p, q in ((x, z), (y, w)) for places in (first, second)]


@intrinsic
def _rows_to_columns(typing, first, row, columns, at):
    def emit(context, builder, signature, arguments):
        first_type, _, columns_type, _ = signature.args
        size = context.get_abi_sizeof(context.get_data_type(first_type.dtype))
        rows = []
        for k in range(WIDE):
            begin = builder.mul(builder.add(arguments[1], arguments[1].type(k)), arguments[1].type(4))
            rows.append(builder.load(_pointer(context, builder, first_type, arguments[0], begin, 4), align=size))
        pairs = [builder.shuffle_vector(rows[k], rows[k + 4], _mask(range(8))) for k in range(4)]
        for k, column in enumerate(_transposed(builder, pairs)):
            array = builder.extract_value(arguments[2], k)
            builder.store(column, _pointer(context, builder, columns_type.dtype, array, arguments[3], WIDE), align=size)
        return context.get_dummy_value()

    return types.void(first, types.intp, columns, types.intp), emit


@intrinsic
def _columns_to_rows(typing, columns, at, rows, position):
    def emit(context, builder, signature, arguments):
        columns_type, _, rows_type, _ = signature.args
        size = context.get_abi_sizeof(context.get_data_type(rows_type.dtype))
        loaded = []
        at, position = arguments[1], arguments[3]
        for k in range(4):
            array = builder.extract_value(arguments[0], k)
            place = _pointer(context, builder, columns_type.dtype, array, at, WIDE)
            loaded.append(builder.load(place, align=size))
        for k, pair in enumerate(_transposed(builder, loaded)):
            for half in range(2):
                begin = builder.add(position, position.type(4 * (k + 4 * half)))
                values = builder.shuffle_vector(pair, pair, _mask(range(4 * half, 4 * half + 4)))
                builder.store(values, _pointer(context, builder, rows_type, arguments[2], begin, 4), align=size)
        return context.get_dummy_value()

    return types.void(columns, types.intp, rows, types.intp), emit


@overload(transpose.rows_to_columns)
def _overload_rows_to_columns(first, row, columns, at):
    return lambda first, row, columns, at: _rows_to_columns(first, row, columns, at)


@overload(transpose.columns_to_rows)
def _overload_columns_to_rows(columns, at, rows, position):
    return lambda columns, at, rows, position: _columns_to_rows(columns, at, rows, position)
