"""The way of a call through the files of a package, traced while it runs.

A *call across files* is one from a function of the package into a function of another of its files, directly or
through foreign code. A *hop* is the first call from one file into another that leads on, which is one beneath which
files are changed again; a call that is answered where it arrives is a look-up and no hop. A hop goes *back* where it
arrives in a file that the walk has been in and has left: no call of it is open any more. One into a file that waits
for its answer, as a function handed down, doesn't.

A generator is called where it first runs, and never again when it goes on. Comprehensions are no calls.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from dis import opmap
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from pathlib import Path
from types import CodeType, FrameType

__all__ = ["Call", "Hop", "Tracer", "hops_of"]

GENERATES = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR
COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
RESUME, GOES_ON = opmap["RESUME"], 3  # an instruction, and the bits of its argument where it isn't the first one


@dataclass(eq=False)
class Call:
    """A call of a function of the package.

    Attributes
    ----------
    file, function : str
        What is called: a path below the package, and a qualified name.
    caller : Call, optional
        That of another file that makes it; None where it isn't across files.
    open : frozenset of str
        The files that wait for an answer when it is made.
    depth : int
        How many calls across files it is below.
    leads_on : bool
        Whether there is a call across files beneath it.
    """

    file: str
    function: str
    caller: Call | None = None
    open: frozenset[str] = frozenset()
    depth: int = 0
    leads_on: bool = False


@dataclass
class Hop:
    """A first call from one file into another that leads to further files, and the number of calls between the two."""

    caller: Call
    call: Call
    back: bool
    calls: int


@dataclass
class Tracer:
    """A profile function that keeps the calls across the files of a package.

    Attributes
    ----------
    package : Path
        Its folder.
    rooms : sequence of str
        Folders and files in it: calls count while one into any of these is open; all of them when left out.
    seen_through : collection of str
        Files that are looked through: what they call is called by those who call them.
    on_call : callable, optional
        Called with the frame, file and name of each function of the package that is entered.
    calls : list of Call
        Those across files, in the order in which they are made.
    """

    package: Path
    rooms: Sequence[str] = ()
    seen_through: Collection[str] = ()
    on_call: Callable[[FrameType, str, str], None] | None = None
    calls: list[Call] = field(default_factory=list)
    _files: dict[CodeType, str | None] = field(default_factory=dict)
    _stacks: dict[int, list[tuple[FrameType, Call]]] = field(default_factory=dict)
    _started: dict[int, Call] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """Take note of an event, as :func:`sys.setprofile` tells it."""
        if event not in ("call", "return") or (file := self._file(frame.f_code)) is None:
            return
        stack = self._stacks.setdefault(threading.get_ident(), [])
        if event == "call":
            stack.append((frame, self._entered(frame, file, [call for _, call in stack])))
        elif stack and stack[-1][0] is frame:  # a generator that is closed returns without having been called
            stack.pop()

    @contextmanager
    def tracing(self) -> Iterator[Tracer]:
        """Trace what is called inside, in this thread and in those that it starts."""
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield self
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _file(self, code: CodeType) -> str | None:
        """The file of some code below the package; None where it is another's, or looked through."""
        if code not in self._files:
            path = Path(code.co_filename)
            own = path.suffix == ".py" and path.is_relative_to(self.package)
            file = path.relative_to(self.package).as_posix() if own else None
            self._files[code] = None if file in self.seen_through else file
        return self._files[code]

    def _entered(self, frame: FrameType, file: str, above: list[Call]) -> Call:
        code = frame.f_code
        if code.co_flags & GENERATES:
            instruction, argument = code.co_code[frame.f_lasti : frame.f_lasti + 2]
            if instruction != RESUME or argument & GOES_ON:
                return self._started.get(id(frame)) or Call(file, code.co_qualname)
            self._started[id(frame)] = call = self._called(code, file, above)
        else:
            call = self._called(code, file, above)
        if self.on_call is not None:
            self.on_call(frame, file, code.co_qualname)
        return call

    def _called(self, code: CodeType, file: str, above: list[Call]) -> Call:
        call = Call(file, code.co_qualname, depth=above[-1].depth if above else 0)
        crosses = bool(above) and above[-1].file != file and code.co_name not in COMPREHENSIONS
        if crosses and self._counts():
            call.caller, call.open = above[-1], frozenset(self._open())
            call.depth += 1
            for one in above:
                one.leads_on = True
            self.calls.append(call)
        return call

    def _open(self) -> Iterator[str]:
        """The files of all calls that wait for an answer."""
        return (call.file for stack in list(self._stacks.values()) for _, call in list(stack))

    def _counts(self) -> bool:
        return not self.rooms or any(
            file == room or file.startswith(f"{room}/") for file in self._open() for room in self.rooms
        )


def hops_of(calls: Sequence[Call]) -> list[Hop]:
    """The hops among calls across files, in their order.

    The way between two files begins with the first call that leads on; all others are counted with it.
    """
    found: dict[tuple[str, str], Hop] = {}
    been: set[str] = set()
    ways = Counter((call.caller.file, call.file) for call in calls if call.caller is not None)
    for call in calls:
        if call.caller is None or not call.leads_on:
            continue
        been = been or {call.caller.file}
        way = call.caller.file, call.file
        if way not in found:
            back = call.file in been and call.file not in call.open
            found[way] = Hop(call.caller, call, back, ways[way])
            been.add(call.file)
    return list(found.values())
