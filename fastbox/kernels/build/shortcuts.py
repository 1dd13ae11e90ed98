"""Shortcuts through Numba while a kernel is compiled: less work for the same machine code.

This module changes no code, so its text is not in the digest of kernels.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event, ir, types
from numba.core.lowering import BaseLower
from numba.core.postproc import PostProcessor, VariableLifetime
from numba.core.targetconfig import TargetConfig
from numba.core.transforms import canonicalize_cfg

__all__ = ["end", "shortcuts"]

_equal = TargetConfig.__eq__
_post_process = PostProcessor.run
_find_call = types.Function.get_call_type
_VARIABLE, _INSTRUCTION, _SEQUENCE, _MAPPING, _OTHER = range(5)

_replaced: list[tuple[Any, str, Any]] = []  # holders, names and Numba's own functions, while shortcuts are in use
_collecting = False  # garbage was collected before


class _Kinds(dict[type, int]):
    """The kind of operand of an instruction, by the type of the operand."""

    def __missing__(self, kind: type) -> int:
        known = ((ir.Var, _VARIABLE), (ir.Inst, _INSTRUCTION), ((list, tuple), _SEQUENCE), (dict, _MAPPING))
        self[kind] = found = next((number for base, number in known if issubclass(kind, base)), _OTHER)
        return found


_KINDS = _Kinds()


def _variables_of(instruction: Any, value: Any) -> list[Any]:
    """Return the variables in an operand; each type is looked at once."""
    kind = _KINDS[type(value)]
    if kind == _VARIABLE:
        return [value]
    if kind == _INSTRUCTION:
        return list(value.list_vars())
    if kind == _OTHER:
        return []
    found: list[Any] = []
    for one in value.values() if kind == _MAPPING else value:
        inner = _KINDS[type(one)]
        if inner == _VARIABLE:
            found.append(one)
        elif inner != _OTHER:
            found += _variables_of(instruction, one)
    return found


def _are_equal(one: Any, other: Any) -> Any:
    """Compare the options that were set before those with default values."""
    same = isinstance(other, TargetConfig) and one._values == other._values
    return same or _equal(one, other)


def _all_options(config: Any) -> dict[str, Any]:
    """Return every option of a configuration; the defaults of a class are found once."""
    kind = type(config)
    found = _DEFAULTS.get(kind)
    if found is None:
        found = _DEFAULTS[kind] = {name: option.default for name, option in kind.options.items()}
    return {**found, **config._values}


def _processed(post: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
    """Prepare a function for the next pass; the variables that live at the start of a block serve generators alone."""
    function = post.func_ir
    if function.is_generator:
        _post_process(post, emit_dels, extend_lifetimes)
        return
    function.blocks = canonicalize_cfg(function.blocks)
    function.variable_lifetime, function.generator_info = VariableLifetime(function.blocks), None
    if emit_dels:
        post._insert_var_dels(extend_lifetimes=extend_lifetimes)


def _called(function: Any, context: Any, args: Any, kws: Any) -> Any:
    """Return the signature of a call of a function that Numba knows; arguments of the same types are looked up once."""
    if kws:
        return _find_call(function, context, args, kws)
    found = _CALLS.get((function, args))
    if found is None:
        found = _CALLS[function, args] = _find_call(function, context, args, kws)
    return found


def _nothing(*_: Any, **__: Any) -> None:
    """Report no event, since nothing listens, and make no entry of a function for C, since nothing calls it so."""


_DEFAULTS: dict[type, dict[str, Any]] = {}
_CALLS: dict[tuple[Any, Any], Any] = {}

_SHORTER: tuple[tuple[Any, str, Any], ...] = (
    (ir.Inst, "_rec_list_vars", _variables_of),
    (TargetConfig, "__eq__", _are_equal),
    (TargetConfig, "values", _all_options),
    (PostProcessor, "run", _processed),
    (types.Function, "get_call_type", _called),
    (BaseLower, "create_cfunc_wrapper", _nothing),
    (event, "start_event", _nothing),
    (event, "end_event", _nothing),
)


@contextmanager
def shortcuts() -> Iterator[None]:
    """Take the shortcuts, and collect no garbage; the caller holds Numba's lock.

    Numba makes millions of objects and keeps most of them: a collection takes long and finds little.
    """
    global _collecting
    _collecting = gc.isenabled()
    gc.disable()
    for holder, name, shorter in _SHORTER:
        _replaced.append((holder, name, getattr(holder, name)))
        setattr(holder, name, shorter)
    try:
        yield
    finally:
        end()


def end() -> None:
    """Give Numba its own functions back, as they were before; also in the child of a fork that interrupted them."""
    while _replaced:
        setattr(*_replaced.pop())
    if _collecting:
        if not gc.get_freeze_count():
            gc.freeze()  # with the next call all new objects count as old: only a full collection visits them
            gc.unfreeze()
        gc.enable()
