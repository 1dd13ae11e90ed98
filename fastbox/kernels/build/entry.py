"""The entry of a kernel, as C calls it: ``int32 entry(const int64 *words, int64 *results)``, 1 where memory ran out.

A word is an int64, the bits of a float64, or the address of the fields of a NumPy array, which NumPy keeps stable for
compiled extensions (PyArrayObject_fields). Tuples lie flat. A result is an int64, the bits of a float64; or of an array
the address of its memory, the address of its first element, and its shape.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import populate_array

I32, I64 = ir.IntType(32), ir.IntType(64)
DATA, DIMENSIONS, STRIDES = 0, 2, 3  # of PyArrayObject_fields: data, nd, dimensions, strides, base, descr, flags


def entry(context, described, name):
    """Return an LLVM module with the entry of a kernel."""
    module = context.create_module(name)
    kind = context.call_conv.get_function_type(described.restype, described.argtypes)
    kernel = ir.Function(module, kind, described.llvm_func_name)
    function = ir.Function(module, ir.FunctionType(I32, [I64.as_pointer()] * 2), name)
    builder = ir.IRBuilder(function.append_basic_block())
    words, places = function.args[0], iter(range(2**31))
    arguments = [_argument(context, builder, words, places, t) for t in described.argtypes]
    status, value = context.call_conv.call_function(builder, kernel, described.restype, described.argtypes, arguments)
    with builder.if_then(status.is_error, likely=False):
        builder.ret(I32(1))
    for place, word in enumerate(_results(context, builder, described.restype, value)):
        builder.store(word, builder.gep(function.args[1], [I64(place)]))
    builder.ret(I32(0))
    return module


def _argument(context, builder, words, places, t):
    """Return the value of an argument, made of the next words."""
    if isinstance(t, types.BaseTuple):
        return context.make_tuple(builder, t, [_argument(context, builder, words, places, part) for part in t])
    word = builder.load(builder.gep(words, [I64(next(places))]))
    if isinstance(t, types.Array):
        return _array(context, builder, builder.inttoptr(word, I64.as_pointer()), t)
    if isinstance(t, types.Float):
        value = builder.bitcast(word, ir.DoubleType())
        return builder.fptrunc(value, ir.FloatType()) if t.bitwidth == 32 else value
    width = context.get_value_type(t).width
    return builder.trunc(word, ir.IntType(width)) if width < 64 else word


def _array(context, builder, fields, t):
    """Return an array without an owner: its caller holds it, so that the kernel counts no references to it."""

    def field(place):
        return builder.load(builder.gep(fields, [I64(place)]))

    def each(place):
        first = builder.inttoptr(field(place), I64.as_pointer())
        return [builder.load(builder.gep(first, [I64(axis)])) for axis in range(t.ndim)]

    width = context.get_abi_sizeof(context.get_data_type(t.dtype))
    shape, strides = each(DIMENSIONS), each(STRIDES)
    if t.layout == "C":  # NumPy may give any stride to an axis that is empty or one element long
        strides, size = [], I64(width)
        for count in reversed(shape):
            strides.insert(0, size)
            size = builder.mul(size, count)
    array = context.make_array(t)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(field(DATA), context.get_data_type(t.dtype).as_pointer()),
        shape=cgutils.pack_array(builder, shape, ty=I64),
        strides=cgutils.pack_array(builder, strides, ty=I64),
        itemsize=I64(width),
        meminfo=None,
    )
    return array._getvalue()


def _results(context, builder, t, value):
    """Return the words of a result."""
    if isinstance(t, types.NoneType):
        return []
    if isinstance(t, types.BaseTuple):
        return [
            word
            for place, part in enumerate(t)
            for word in _results(context, builder, part, builder.extract_value(value, place))
        ]
    if isinstance(t, types.Array):
        array = context.make_array(t)(context, builder, value)
        shape = [builder.extract_value(array.shape, axis) for axis in range(t.ndim)]
        return [builder.ptrtoint(array.meminfo, I64), builder.ptrtoint(array.data, I64), *shape]
    if isinstance(t, types.Float):
        return [builder.bitcast(builder.fpext(value, ir.DoubleType()) if t.bitwidth == 32 else value, I64)]
    if value.type.width == 64:
        return [value]
    return [(builder.sext if getattr(t, "signed", False) else builder.zext)(value, I64)]
