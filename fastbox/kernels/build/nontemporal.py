"""Non-temporal stores: stores past the caches, for an output too large to stay in them."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastbox.kernels.build.kernel import device

LINE = 64  # bytes of a cache line, which a non-temporal store must fill whole


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


store_line = intrinsic(_line(True))  # as many values as a cache line holds, past the caches; out begins a line there
_copy_line = intrinsic(_line(False))


def copy_line(out, position, row, offset):
    """Copy as many values as a cache line holds: a loop over so few values is not always vectorised."""
    n = LINE // out.itemsize
    out[position : position + n] = row[offset : offset + n]


@overload(copy_line)
def _overload_copy_line(out, position, row, offset):
    return lambda out, position, row, offset: _copy_line(out, position, row, offset)


@intrinsic
def fence(typing):
    """Wait until all stores are seen by every core."""

    def emit(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@device
def copy_nontemporal(out, position, values, n):
    """Copy the first n values to out[position:], whole cache lines past the caches."""
    per_line = LINE // out.itemsize
    head = min(n, (-(out.ctypes.data + position * out.itemsize)) % LINE // out.itemsize)
    for j in range(head):
        out[position + j] = values[j]
    lines = (n - head) // per_line
    for line in range(lines):
        store_line(out, position + head + line * per_line, values, head + line * per_line)
    for j in range(head + lines * per_line, n):
        out[position + j] = values[j]


@device
def offset_in_line(out, position):
    """Return the number of values before a position that share its cache line."""
    return (out.ctypes.data // out.itemsize + position) % (LINE // out.itemsize)


@device
def append_nontemporal(out, position, ahead, behind, count, started):
    """Store `count` values from a position on past the caches, in whole lines.

    The values lie in `ahead`, after the `behind` values that filled no line before; the last `behind` values fill no
    line again, and are moved to the front. Of the first line only the values from the position on are stored.
    """
    per_line = LINE // out.itemsize
    start = position - behind
    if not started:
        for j in range(behind, per_line):
            out[start + j] = ahead[j]
    for line in range(0 if started else 1, count // per_line):
        store_line(out, start + line * per_line, ahead, line * per_line)
    copy_line(ahead, 0, ahead, count)
