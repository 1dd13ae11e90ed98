"""Non-temporal stores, prefetches, and arrays on the stack."""

from __future__ import annotations

import math

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import populate_array

from fastbox.kernels.build import nontemporal, prefetch, stack
from fastbox.kernels.build.intrinsics.in_place import in_place_of
from fastbox.kernels.build.nontemporal import LINE


def _copied_line(context, builder, arrays, positions, nontemporal):
    """Copy a cache line of values from a position of the second array to one of the first."""
    element = context.get_data_type(arrays[0][0].dtype)
    size = context.get_abi_sizeof(element)
    line = ir.VectorType(element, LINE // size).as_pointer()
    target, source = (
        builder.bitcast(builder.gep(context.make_array(kind)(context, builder, array).data, [position]), line)
        for (kind, array), position in zip(arrays, positions, strict=True)
    )
    store = builder.store(builder.load(source, align=size), target, align=LINE if nontemporal else size)
    if nontemporal:
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


def _line(nontemporal):
    def typed(typing, out, position, row, offset):
        def emit(context, builder, signature, arguments):
            arrays = (signature.args[0], arguments[0]), (signature.args[2], arguments[2])
            _copied_line(context, builder, arrays, (arguments[1], arguments[3]), nontemporal)
            return context.get_dummy_value()

        return types.void(out, types.intp, row, types.intp), emit

    return typed


in_place_of(nontemporal.store_line)(_line(True))
in_place_of(nontemporal.copy_line)(_line(False))


@in_place_of(nontemporal.store_lines, prefer_literal=True)
def _store_lines(typing, out, position, row, count):
    values, step = count.literal_value, LINE * 8 // out.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        arrays = (signature.args[0], arguments[0]), (signature.args[2], arguments[2])
        position, intp = arguments[1], arguments[1].type
        for k in range(0, values, step):
            _copied_line(context, builder, arrays, (builder.add(position, intp(k)), intp(k)), True)
        return context.get_dummy_value()

    return types.void(out, types.intp, row, count), emit


@in_place_of(nontemporal.moved)
def _moved(typing, array, count):
    def emit(context, builder, signature, arguments):
        view = context.make_array(array)(context, builder, arguments[0])
        view.data = builder.gep(view.data, [arguments[1]])
        view.meminfo, view.parent = view.meminfo.type(None), view.parent.type(None)
        return view._getvalue()

    return array(array, types.intp), emit


@overload(nontemporal.per_line)
def _overload_per_line(out):
    count = LINE * 8 // out.dtype.bitwidth
    return lambda out: count


@in_place_of(nontemporal.fence)
def _fence(typing):
    def emit(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


_TO_READ, _KEPT, _OF_DATA = 0, 3, 1  # what LLVM is told of a prefetch


@in_place_of(prefetch.prefetch)
def _prefetch(typing, array, place):
    def emit(context, builder, signature, arguments):
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        asked = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        line = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(asked, [line, number(_TO_READ), number(_KEPT), number(_OF_DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit


# Arrays on the stack are made in functions of their own, which end their lives where they are no longer needed: without
# that `best` of float64 takes a tenth longer.


@overload(stack.stack_array, prefer_literal=True)
def _overload_stack_array(like, count):
    if isinstance(count, types.IntegerLiteral):
        return lambda like, count: _vector_on_stack(like, count)
    return None


@overload(stack.stack_doubles, prefer_literal=True)
def _overload_stack_doubles(count):
    if isinstance(count, types.IntegerLiteral):
        return lambda count: _doubles_on_stack(count)
    return None


@overload(stack.stack_columns, prefer_literal=True)
def _overload_stack_columns(like, count):
    if isinstance(count, types.IntegerLiteral):
        return lambda like, count: (
            _vector_on_stack(like, count),
            _vector_on_stack(like, count),
            _vector_on_stack(like, count),
            _vector_on_stack(like, count),
        )
    return None


@overload(stack.stack_tile, prefer_literal=True)
def _overload_stack_tile(like, rows, count):
    if isinstance(rows, types.IntegerLiteral) and isinstance(count, types.IntegerLiteral):
        return lambda like, rows, count: _tile_on_stack(like, rows, count)
    return None


@intrinsic(prefer_literal=True)
def _vector_on_stack(typing, like, count):
    return types.Array(like.dtype, 1, "C")(like, count), _on_stack(count.literal_value)


@intrinsic(prefer_literal=True)
def _doubles_on_stack(typing, count):
    return types.Array(types.float64, 1, "C")(count), _on_stack(count.literal_value)


@intrinsic(prefer_literal=True)
def _tile_on_stack(typing, like, rows, count):
    return types.Array(like.dtype, 2, "C")(like, rows, count), _on_stack(rows.literal_value, count.literal_value)


def _on_stack(*shape):
    def emit(context, builder, signature, arguments):
        element = context.get_data_type(signature.return_type.dtype)
        with builder.goto_entry_block():
            on_stack = builder.alloca(ir.ArrayType(element, math.prod(shape)))
            on_stack.align = stack.ALIGNMENT
        array = context.make_array(signature.return_type)(context, builder)
        width = context.get_abi_sizeof(element)
        intp = context.get_value_type(types.intp)
        strides = [width * math.prod(shape[k + 1 :]) for k in range(len(shape))]
        populate_array(
            array,
            data=builder.bitcast(on_stack, element.as_pointer()),
            shape=cgutils.pack_array(builder, [intp(size) for size in shape], ty=intp),
            strides=cgutils.pack_array(builder, [intp(stride) for stride in strides], ty=intp),
            itemsize=intp(width),
            meminfo=None,
        )
        return array._getvalue()

    return emit
