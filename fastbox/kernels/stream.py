"""Stores that pass the caches by, for an output too large to stay in them."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbox.kernels.compile import device

LINE = 64  # bytes of a cache line, which such a store must fill whole


@intrinsic
def _store_line(typing, out, position, row, offset):
    signature = types.void(out, types.intp, row, types.intp)

    def emit(context, builder, signature, arguments):
        out_type, _, row_type, _ = signature.args
        element = context.get_data_type(out_type.dtype)
        size = context.get_abi_sizeof(element)
        line = ir.VectorType(element, LINE // size).as_pointer()
        target = context.make_array(out_type)(context, builder, arguments[0]).data
        source = context.make_array(row_type)(context, builder, arguments[2]).data
        values = builder.load(builder.bitcast(builder.gep(source, [arguments[3]]), line), align=size)
        store = builder.store(values, builder.bitcast(builder.gep(target, [arguments[1]]), line), align=LINE)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return signature, emit


@intrinsic
def fence(typing):
    """Wait until all stores are seen by every core."""

    def emit(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@device
def stream(out, position, values, n):
    """Copy the first n values to out[position:], whole cache lines past the caches."""
    per_line = LINE // out.itemsize
    head = min(n, (-(out.ctypes.data + position * out.itemsize)) % LINE // out.itemsize)
    for j in range(head):
        out[position + j] = values[j]
    lines = (n - head) // per_line
    for line in range(lines):
        _store_line(out, position + head + line * per_line, values, head + line * per_line)
    for j in range(head + lines * per_line, n):
        out[position + j] = values[j]
