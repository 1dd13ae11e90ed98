"""Numba's compiler, which nothing else imports: functions to object code, by the same steps in use and ahead of it.

Object code has the entry of one kernel, brings what it needs of Numba's runtime, and takes memory and the mathematical
functions from the C library.
"""

from __future__ import annotations

import dis
import gc
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import llvmlite.binding as llvm
from numba import from_dtype, njit, types
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target
from numba.core.typing.context import CallStack

from fastbox.kernels.build import intrinsics
from fastbox.kernels.build.device import DEVICE
from fastbox.kernels.build.entry import entry
from fastbox.kernels.build.intrinsics.in_place import IN_PLACE
from fastbox.kernels.build.source import KERNELS
from fastbox.kernels.build.types import Array, Number, Signature, Tuple

__all__ = ["begin_again", "dispatcher", "global_compiler_lock", "intrinsics", "object_code"]

# Division by zero gives inf or nan as in NumPy: the branch of the default error model blocks vectorisation (11 times
# slower). No fastmath: it gains no speed, and breaks nan and the promise of equal bits. Nobody calls kernels from
# Python or C but by their entries, so there are no wrappers.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

_NUMBAS = ("numba_", "NRT_", "_ZN", "Py", "_Py")  # begin the names of functions that no C library has

_linked = attrgetter("library._final_module")  # all that a kernel calls, in one module

RUNTIME = Path(__file__).with_name("runtime.ll")

_dispatchers: dict[Callable[..., Any], Any] = {}


# Numba imports the rest of itself with the first function that it compiles: now, while a fork waits for imports.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
import_module("numba.core.runtime.context")

_NUMBAS_MACHINE = cpu_target.target_context.codegen()._tm  # for which it optimises all other functions

_OURS = "fastbox_"  # begins the name of every function that this module hands to Numba
_STRAIGHT = f"{_OURS}straight_"  # begins the name of a device function without a loop
_APART = f"{_OURS}apart_"  # begins the name of a device function that is never inlined


class _Library(JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that is only linked into kernels: by itself it is never made executable.

    Device functions without a loop are optimised in the code of kernels alone. Loops are optimised by themselves too:
    in the code of a kernel, loops over arrays that may overlap do not always vectorise.
    """

    def add_ir_module(self, module: Any) -> None:
        if self.name.startswith(_APART):
            for function in module.functions:
                if function.blocks:
                    function.attributes.add("noinline")
        super().add_ir_module(module)

    def _optimize_functions(self, module: Any) -> None:
        if self.name.startswith(_STRAIGHT):
            module.data_layout = self._codegen._data_layout
        else:
            super()._optimize_functions(module)

    def _optimize_final_module(self) -> None:
        if not self.name.startswith(_STRAIGHT):
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


@contextmanager
def _only_linked(codegen: Any, machine: Any) -> Iterator[None]:
    """Optimise for a machine; make no machine code of each function for itself, a sixth of the time of compiling."""
    create, set_env = codegen.create_library, codegen.set_env

    def create_library(name: str, **options: Any) -> Any:
        return _Library(codegen, name, **options) if name.startswith(_OURS) else create(name, **options)

    def set_env_of_others(name: str, env: Any) -> None:
        if _OURS not in name:
            set_env(name, env)

    codegen.create_library, codegen.set_env, codegen._tm = create_library, set_env_of_others, machine
    try:
        yield
    finally:
        del codegen.create_library, codegen.set_env
        codegen._tm = _NUMBAS_MACHINE


def object_code(function: FunctionType, signature: Signature, symbol: str, linked: bool = False) -> bytes:
    """Compile a kernel to object code whose entry has the name `symbol`, for a library or for a loader.

    LLVM's loader maps code and constants one after the other. Where the process has mapped more than 2 GB before, they
    can lie farther apart than 32 bits reach, so that it needs addresses of 64 bits on x86-64; `elf.py` takes no
    others. On 64-bit ARM the loader's memory is one piece.
    """
    codegen = cpu_target.target_context.codegen()
    with global_compiler_lock:
        machine = _machine(codegen, linked)
        with _only_linked(codegen, machine):
            (compiled,) = dispatcher(function, signature, _OURS).overloads.values()
            return _emitted(compiled, codegen, machine, symbol)


def dispatcher(function: FunctionType, signature: Signature, prefix: str = "") -> Any:
    """Compile a kernel, for calls from other functions that Numba compiles."""
    compiled = _dispatched(function, prefix, nogil=True)
    compiled.compile(_in_numba(signature.gives)(*map(_in_numba, signature.takes)))
    compiled.disable_compile()
    return compiled


def _machine(codegen: Any, linked: bool) -> Any:
    """Return the machine that kernels are compiled for: Numba's, with vectors as long as the processor has them.

    For most processors with AVX-512 LLVM takes half of their vectors, with which losses and `aligned` take 1.1 to 1.8
    times as long, and matrices up to 1.6; those of float64 0.93.
    """
    triple = llvm.get_process_triple()
    x86, told = triple.startswith("x86_64"), os.environ.get("NUMBA_CPU_FEATURES")
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=codegen._get_host_cpu_name(),
        features=codegen._get_host_cpu_features() + (",-prefer-256-bit" if x86 and not told else ""),
        opt=3,
        reloc="static" if x86 and not linked else "pic",
        codemodel="large" if x86 and not linked else "default",
    )


def _emitted(compiled: Any, codegen: Any, machine: Any, symbol: str) -> bytes:
    """Return the object code of a kernel and its entry; everything else in it is internal."""
    module = _linked(compiled)
    called = str(entry(compiled.target_context, compiled.fndesc, symbol))
    for text in (called, RUNTIME.read_text().replace("@release", f'@"{symbol}.release"')):
        more = llvm.parse_assembly(cgutils.normalize_ir_text(text))
        more.triple, more.data_layout = module.triple, codegen._data_layout
        _pass_over(more, machine, "sroa", "instruction_combine")
        module.link_in(more)
    for one in (*module.functions, *module.global_variables):
        if not one.is_declaration and not one.name.startswith(symbol):
            one.linkage = "internal"
    # The entry says that the arrays of the caller have no owner, so that the counting of references to them goes.
    _pass_over(module, machine, "always_inliner", "ipsccp", "simplify_cfg", "dead_arg_elimination")
    _pass_over(module, machine, "instruction_combine", "simplify_cfg", "global_dead_code_eliminate")
    module.verify()
    lacking = [one.name for one in module.functions if one.is_declaration and one.name.startswith(_NUMBAS)]
    assert not lacking, f"{symbol} calls {', '.join(lacking)}, which runtime.ll does not define"
    return bytes(machine.emit_object(module))


def _pass_over(module: Any, machine: Any, *passes: str) -> None:
    """Run some passes of LLVM over a module."""
    manager = llvm.create_new_module_pass_manager()
    for one in passes:
        getattr(manager, f"add_{one}_pass")()
    manager.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0)))


def _in_numba(t: Any) -> Any:
    """Return Numba's name of a type."""
    if isinstance(t, Number):
        return from_dtype(t.dtype)
    if isinstance(t, Array):
        return types.Array(_in_numba(t.of), t.ndim, cast(Any, t.layout), readonly=t.readonly)
    if isinstance(t, Tuple):
        return types.Tuple([_in_numba(part) for part in t.parts])
    return types.void


def _dispatched(function: FunctionType, prefix: str, **options: Any) -> Any:
    """Return Numba's dispatcher of a function, which finds dispatchers where the function finds device functions."""
    seen: dict[str, Any] = {}
    copy = FunctionType(function.__code__, seen, function.__name__, function.__defaults__, function.__closure__)
    copy.__module__, copy.__qualname__ = function.__module__, f"{prefix}{function.__qualname__}"
    dispatcher = _dispatchers[function] = njit(**options, **_OPTIONS)(copy)
    seen.update(_seen(function.__globals__, _names(function.__code__)))
    return dispatcher


def _dispatched_device(function: FunctionType) -> Any:
    """Return the dispatcher of a device function, which compiles once for all constants that are passed."""
    loops = any("JUMP_BACKWARD" in step.opname for step in dis.get_instructions(function))
    prefix = _APART if DEVICE[function] is False else _OURS if loops else _STRAIGHT
    dispatcher = _dispatched(function, prefix, forceinline=bool(DEVICE[function]))
    template = dispatcher.get_call_template

    def template_of_any_value(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return template(tuple(map(types.unliteral, args)), {name: types.unliteral(t) for name, t in kws.items()})

    dispatcher.get_call_template = template_of_any_value
    return dispatcher


def _seen(space: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    """Return a name space with what kernels call by some names: instructions, and dispatchers of device functions.

    The same holds for the names in modules of kernels.
    """
    seen = dict(space)
    for name in names & seen.keys():
        value = seen[name]
        if isinstance(value, FunctionType) and value in IN_PLACE:
            seen[name] = IN_PLACE[value]
        elif isinstance(value, FunctionType) and value in DEVICE:
            seen[name] = _dispatchers.get(value) or _dispatched_device(value)
        elif isinstance(value, ModuleType) and value.__name__.startswith(f"{KERNELS}."):
            seen[name] = ModuleType(value.__name__)
            vars(seen[name]).update(_seen(vars(value), names))
    return seen


def _names(code: CodeType) -> set[str]:
    """Return the names that a function and the functions inside it use."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def begin_again() -> None:
    """Forget the compilations that had begun, in the child of a fork that has none of the threads that compile."""
    global_compiler_lock._lock = threading.RLock()
    cpu_target.typing_context.callstack = CallStack()
    codegen = cpu_target.target_context.codegen()
    for name in ("create_library", "set_env"):
        vars(codegen).pop(name, None)
    codegen._tm = _NUMBAS_MACHINE
    _dispatchers.clear()  # one of them may not yet find what its function calls
    for found in gc.get_objects():
        if isinstance(found, Dispatcher) and (counter := getattr(found, "_compiling_counter", None)):
            found._compiling_counter = type(counter)()
        elif isinstance(found, cached_property) and hasattr(found, "lock"):  # before Python 3.12
            cast(Any, found).lock = threading.RLock()
