"""Instructions that no loop compiles to: shuffles, non-temporal stores, arrays on the stack; and bits of floats.

Each stands in for a plain function, which runs where nothing is compiled.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import populate_array

from fastbox.kernels.build import bits, nontemporal, stack, transpose
from fastbox.kernels.build.nontemporal import LINE
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


def _line(nontemporal):
    def typed(typing, out, position, row, offset):
        signature = types.void(out, types.intp, row, types.intp)

        def emit(context, builder, signature, arguments):
            out_type, _, row_type, _ = signature.args
            element = context.get_data_type(out_type.dtype)
            size = context.get_abi_sizeof(element)
            line = ir.VectorType(element, LINE // size).as_pointer()
            target = context.make_array(out_type)(context, builder, arguments[0]).data
            source = context.make_array(row_type)(context, builder, arguments[2]).data
            values = builder.load(builder.bitcast(builder.gep(source, [arguments[3]]), line), align=size)
            place = builder.bitcast(builder.gep(target, [arguments[1]]), line)
            store = builder.store(values, place, align=LINE if nontemporal else size)
            if nontemporal:
                store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
            return context.get_dummy_value()

        return signature, emit

    return typed


_store_line, _copy_line = intrinsic(_line(True)), intrinsic(_line(False))


@overload(nontemporal.store_line)
def _overload_store_line(out, position, row, offset):
    return lambda out, position, row, offset: _store_line(out, position, row, offset)


@overload(nontemporal.copy_line)
def _overload_copy_line(out, position, row, offset):
    return lambda out, position, row, offset: _copy_line(out, position, row, offset)


@intrinsic
def _fence(typing):
    def emit(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@overload(nontemporal.fence)
def _overload_fence():
    return lambda: _fence()


@overload(stack.stack_array, prefer_literal=True)
def _overload_stack_array(like, count):
    if isinstance(count, types.IntegerLiteral):
        return lambda like, count: _on_stack(like, count)
    return None


@intrinsic(prefer_literal=True)
def _on_stack(typing, like, count):
    size = count.literal_value
    made = types.Array(like.dtype, 1, "C")

    def emit(context, builder, signature, arguments):
        element = context.get_data_type(signature.return_type.dtype)
        with builder.goto_entry_block():
            on_stack = builder.alloca(ir.ArrayType(element, size))
            on_stack.align = stack.ALIGNMENT
        array = context.make_array(signature.return_type)(context, builder)
        width = context.get_abi_sizeof(element)
        intp = context.get_value_type(types.intp)
        populate_array(
            array,
            data=builder.bitcast(on_stack, element.as_pointer()),
            shape=cgutils.pack_array(builder, [intp(size)], ty=intp),
            strides=cgutils.pack_array(builder, [intp(width)], ty=intp),
            itemsize=intp(width),
            meminfo=None,
        )
        return array._getvalue()

    return made(like, count), emit


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
