"""Arrays on the stack, which nothing else can overlap."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.arrayobj import populate_array

ALIGNMENT = 64  # a cache line


def stack_array(like, count):
    """Return a vector of a constant count of elements, of another array's dtype, not initialised.

    The vector lives until the kernel returns, and must not leave it. The compiler knows that it overlaps no other
    array: loops over such vectors need no test for overlap, which takes as long as a short loop itself.
    """
    return np.empty(count, like.dtype)


@overload(stack_array, prefer_literal=True)
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
            stack = builder.alloca(ir.ArrayType(element, size))
            stack.align = ALIGNMENT
        array = context.make_array(signature.return_type)(context, builder)
        width = context.get_abi_sizeof(element)
        intp = context.get_value_type(types.intp)
        populate_array(
            array,
            data=builder.bitcast(stack, element.as_pointer()),
            shape=cgutils.pack_array(builder, [intp(size)], ty=intp),
            strides=cgutils.pack_array(builder, [intp(width)], ty=intp),
            itemsize=intp(width),
            meminfo=None,
        )
        return array._getvalue()

    return made(like, count), emit
