"""Non-temporal stores, and arrays on the stack."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import populate_array

from fastbox.kernels.build import nontemporal, stack
from fastbox.kernels.build.nontemporal import LINE


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
