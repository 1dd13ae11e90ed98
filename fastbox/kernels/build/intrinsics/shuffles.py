"""Shuffles between rows and columns, and a test of what registers hold."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from fastbox.kernels.build import transpose
from fastbox.kernels.build.intrinsics.bits import has_avx512
from fastbox.kernels.build.intrinsics.in_place import in_place_of
from fastbox.kernels.build.intrinsics.masks import every
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


def _joined(builder, vectors):
    """Return the vectors of a list one behind the other, in one vector; their number is a power of two."""
    while len(vectors) > 1:
        places = _mask(range(2 * vectors[0].type.count))
        vectors = [builder.shuffle_vector(a, b, places) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]


def _transposed(builder, vectors):
    """Shuffle four vectors of some rows or columns each, so that numbers 4 apart lie side by side.

    Each step shuffles pairs inside the quarters of a register, which vector units do quickly.
    """
    count = vectors[0].type.count

    def both(a, b, *places):
        quarters = range(0, count, 4)
        return builder.shuffle_vector(a, b, _mask([q + p % 4 + p // 4 * count for q in quarters for p in places]))

    a, b, c, d = vectors
    x, y = both(a, b, 0, 4, 1, 5), both(a, b, 2, 6, 3, 7)
    z, w = both(c, d, 0, 4, 1, 5), both(c, d, 2, 6, 3, 7)
    return [both(p, q, *places) for p, q in ((x, z), (y, w)) for places in ((0, 1, 4, 5), (2, 3, 6, 7))]


def _transposed_across(builder, vectors):
    """Return the columns of four vectors of four rows each, by shuffles that take any numbers of two vectors."""

    def both(a, b, places):
        return builder.shuffle_vector(a, b, _mask(places))

    halves = [[row * 4 + k for k in pair for row in range(8)] for pair in ((0, 1), (2, 3))]
    near, far = ([both(a, b, places) for places in halves] for a, b in (vectors[:2], vectors[2:]))
    ends = [[*range(first, first + 8), *range(first + 16, first + 24)] for first in (0, 8)]
    return [both(a, b, places) for a, b in zip(near, far, strict=True) for places in ends]


def _row(context, builder, array_type, array, row):
    """Return a pointer to four numbers side by side, of an array's element or row."""
    made = context.make_array(array_type)(context, builder, array)
    byte = ir.IntType(8).as_pointer()
    start = builder.mul(row, builder.extract_value(made.strides, 0))
    place = builder.gep(builder.bitcast(made.data, byte), [start])
    return builder.bitcast(place, _vector(context.get_data_type(array_type.dtype), 4).as_pointer())


def _into_columns(wide, apart=False):
    """Type and write a copy of WIDE rows to columns, read `wide` numbers at a time: in order, or that of lanes.

    Rows that lie apart are read one by one.
    """

    def typed(typing, first, row, columns, at):
        def emit(context, builder, signature, arguments):
            first_type, _, columns_type, _ = signature.args
            size = context.get_abi_sizeof(context.get_data_type(first_type.dtype))
            across = wide == 4 and size == 4 and has_avx512(context.codegen()) and not apart
            at_once, rows = WIDE if across else wide, []
            for k in range(0, WIDE, at_once // 4):
                if apart:
                    row = builder.add(arguments[1], arguments[1].type(k))
                    rows.append(builder.load(_row(context, builder, first_type, arguments[0], row), align=size))
                    continue
                begin = builder.mul(builder.add(arguments[1], arguments[1].type(k)), arguments[1].type(4))
                place = _pointer(context, builder, first_type, arguments[0], begin, at_once)
                rows.append(builder.load(place, align=size))
            quarters = [_joined(builder, rows[k::4]) for k in range(4)]
            for k, column in enumerate((_transposed_across if across else _transposed)(builder, quarters)):
                array = builder.extract_value(arguments[2], k)
                place = _pointer(context, builder, columns_type.dtype, array, arguments[3], WIDE)
                builder.store(column, place, align=size)
            return context.get_dummy_value()

        return types.void(first, types.intp, columns, types.intp), emit

    return typed


in_place_of(transpose.rows_to_columns)(_into_columns(4))
in_place_of(transpose.rows_apart_to_columns)(_into_columns(4, apart=True))
in_place_of(transpose.rows_to_lanes)(_into_columns(WIDE))


@in_place_of(transpose.copy_row)
def _copy_row(typing, rows, row, out, to):
    def emit(context, builder, signature, arguments):
        rows_type, _, out_type, _ = signature.args
        size = context.get_abi_sizeof(context.get_data_type(out_type.dtype))
        four = builder.load(_row(context, builder, rows_type, arguments[0], arguments[1]), align=size)
        builder.store(four, _row(context, builder, out_type, arguments[2], arguments[3]), align=size)
        return context.get_dummy_value()

    return types.void(rows, types.intp, out, types.intp), emit


def _into_rows(ordered):
    """Type and write a copy of WIDE numbers of four columns to rows, from columns in order or in that of lanes."""

    def typed(typing, columns, at, rows, position):
        def emit(context, builder, signature, arguments):
            columns_type, _, rows_type, _ = signature.args
            size = context.get_abi_sizeof(context.get_data_type(rows_type.dtype))
            at, position = arguments[1], arguments[3]
            loaded = []
            for k in range(4):
                array = builder.extract_value(arguments[0], k)
                place = _pointer(context, builder, columns_type.dtype, array, at, WIDE)
                loaded.append(builder.load(place, align=size))
            apart = _transposed(builder, loaded)
            for k in range(4):
                quarter = _mask(range(4 * k, 4 * k + 4))
                values = (
                    _joined(builder, [builder.shuffle_vector(four, four, quarter) for four in apart])
                    if ordered
                    else apart[k]
                )
                begin = builder.add(position, position.type(WIDE * k))
                builder.store(values, _pointer(context, builder, rows_type, arguments[2], begin, WIDE), align=size)
            return context.get_dummy_value()

        return types.void(columns, types.intp, rows, types.intp), emit

    return typed


in_place_of(transpose.columns_to_rows)(_into_rows(True))
in_place_of(transpose.lanes_to_rows)(_into_rows(False))

_ACROSS = [4 * place + row for row in range(4) for place in range(4)]


@in_place_of(transpose.lanes_to_vector)
def _lanes_to_vector(typing, values, at, out, position):
    def emit(context, builder, signature, arguments):
        values_type, _, out_type, _ = signature.args
        size = context.get_abi_sizeof(context.get_data_type(out_type.dtype))
        given = _pointer(context, builder, values_type, arguments[0], arguments[1], WIDE)
        lanes = builder.load(given, align=size)
        place = _pointer(context, builder, out_type, arguments[2], arguments[3], WIDE)
        builder.store(builder.shuffle_vector(lanes, lanes, _mask(_ACROSS)), place, align=size)
        return context.get_dummy_value()

    return types.void(values, types.intp, out, types.intp), emit


@in_place_of(transpose.fill_from)
def _fill_from(typing, values, count, filler):
    def emit(context, builder, signature, arguments):
        size = values.dtype.bitwidth // 8
        whole = ir.IntType(8 * size)  # of the size of the numbers, for one comparison a register
        place = _pointer(context, builder, values, arguments[0], context.get_value_type(types.intp)(0), WIDE)
        held = builder.load(place, align=size)
        last = arguments[1] if size == 8 else builder.trunc(arguments[1], whole)
        lanes = ir.Constant(_vector(whole, WIDE), [whole(lane) for lane in range(WIDE)])
        before = builder.icmp_signed("<", lanes, every(builder, last, lanes.type))
        builder.store(builder.select(before, held, every(builder, arguments[2], held.type)), place, align=size)
        return context.get_dummy_value()

    return types.void(values, types.intp, values.dtype), emit


@in_place_of(transpose.all_within)
def _all_within(typing, lows, least, tops, most):
    def emit(context, builder, signature, arguments):
        kind, zero = signature.args[0], context.get_value_type(types.intp)(0)
        held, compared = [], builder.fcmp_ordered if isinstance(lows.dtype, types.Float) else builder.icmp_unsigned
        for sign, array, limit in ((">=", *arguments[:2]), ("<=", *arguments[2:])):
            values = builder.load(_pointer(context, builder, kind, array, zero, WIDE), align=kind.dtype.bitwidth // 8)
            held.append(compared(sign, values, every(builder, limit, values.type)))
        bits = builder.bitcast(builder.and_(*held), ir.IntType(WIDE))
        return builder.icmp_unsigned("==", bits, bits.type(-1))

    return types.boolean(lows, lows.dtype, tops, tops.dtype), emit
