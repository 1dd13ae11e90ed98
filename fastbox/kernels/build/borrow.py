"""Arrays that a kernel counts no references to: the caller holds the arrays while the kernel runs."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic, overload


def borrowed(*values):
    """Return the same arrays, and tuples of them, without their owners.

    Numba counts references to arguments wherever a tuple is taken apart, inside loops too, by atomic instructions: up
    to 2.4 times as slow.
    """
    return values


@overload(borrowed)
def _overload_borrowed(*values):
    return lambda *values: _borrowed(values)


@intrinsic
def _borrowed(typing, values):
    def emit(context, builder, signature, arguments):
        return _without_owner(context, builder, signature.return_type, arguments[0])

    return values(values), emit


def _without_owner(context, builder, t, value):
    if isinstance(t, types.Array):
        array = context.make_array(t)(context, builder, value)
        array.meminfo = array.meminfo.type(None)
        array.parent = array.parent.type(None)
        return array._getvalue()
    if isinstance(t, types.BaseTuple):
        for k, part in enumerate(t):
            inside = _without_owner(context, builder, part, builder.extract_value(value, k))
            value = builder.insert_value(value, inside, k)
    return value
