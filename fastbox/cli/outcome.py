"""How a command ends that can't be done: one sentence, an exit code, no traceback."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TextIO

import click

from fastbox.cli.command import Group
from fastbox.cli.imports import WithoutPandas
from fastbox.cli.said import say
from fastbox.cli.written import Written
from fastbox.errors import InputError, InputWarning
from fastbox.report.provenance import on_command_line

__all__ = ["Commands", "fail"]

RAISED_AGAIN_AFTER = 0.02  # seconds


class Commands(Group):
    """A group that turns what can go wrong into one sentence and an exit code; a bug keeps its traceback."""

    _written = Written([])

    def main(self, args: Sequence[str] | None = None, **options: Any) -> NoReturn:  # type: ignore[override]
        """Run the command line, 2 where it can't be read."""
        _fill_descriptors()
        if args is None:  # the command line of a process of its own
            sys.meta_path.insert(0, WithoutPandas())
        given = sys.argv[1:] if args is None else list(args)
        self._written = Written(given)
        try:
            with _interruptible(), on_command_line(given):
                code = super().main(args, **{**options, "standalone_mode": False})
                _flush(sys.stdout)
        except click.exceptions.NoArgsIsHelpError as error:
            with suppress(OSError):
                error.show()
            _exit(2)
        except click.UsageError as error:
            said = error.format_message().rstrip(".")
            more = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
            fail(f"{said[:1].lower()}{said[1:]}{more}", 2)
        except (click.Abort, KeyboardInterrupt):
            self._fail("interrupted")
        except OSError as error:
            self._fail_of_system(error)
        _exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line, which prints the help where it is asked for."""
        try:
            return super().make_context(*args, **extra)
        except KeyboardInterrupt:
            self._fail("interrupted")

    def invoke(self, context: click.Context) -> Any:
        """Run a command: 1 where it could not finish, 2 where what it was given can't be used."""
        try:
            with _warnings_as_sentences():
                return super().invoke(context)
        except InputError as error:
            fail(str(error), 2)
        except (KeyboardInterrupt, SystemError) as error:
            # A compiled function that calls Python and finds itself interrupted says so by a SystemError.
            cause = error if isinstance(error, KeyboardInterrupt) else error.__cause__
            if not isinstance(cause, KeyboardInterrupt):
                raise
            self._fail("terminated" if isinstance(cause, Terminated) else "interrupted")
        except MemoryError:
            self._fail("out of memory")
        except OSError as error:
            self._fail_of_system(error)

    def _fail(self, what: str) -> NoReturn:
        fail(f"{what}; {self._written.said()}", 1)

    def _fail_of_system(self, error: OSError) -> NoReturn:
        """End a command that the system let down: its output, or the terminal or pipe that it prints to."""
        if not _is_of_printing(error):
            where = f" ({error.filename})" if error.filename else ""
            self._fail(f"{error.strerror or error}{where}")
        if isinstance(error, BrokenPipeError):  # whoever reads has seen enough
            _exit(1)
        stands = self._written.said()
        more = "" if stands == "nothing was written" else f"; {stands}"
        fail(f"could not print the result: {error.strerror}{more}", 1)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; not the very KeyboardInterrupt, which Python remembers for its exit code even where it was caught."""


class Terminated(Interrupted):
    """SIGTERM: what a scheduler or a container sends before it kills."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """See to it that SIGINT and SIGTERM end a command by an exception, and that it gets through.

    Where it comes in a destructor or a callback, Python drops it.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    asked = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread() or not asked:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated if number == signal.SIGTERM else Interrupted

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        # Not at once, which would be dropped in here as well; by a signal where it can be, which ends a wait too.
        kill = getattr(signal, "pthread_kill", None)
        number = signal.SIGTERM if issubclass(dropped.exc_type, Terminated) else signal.SIGINT
        raised = partial(kill, main_thread, number) if kill else partial(_thread.interrupt_main, number)
        timer = threading.Timer(RAISED_AGAIN_AFTER, raised)
        timer.daemon = True
        timer.start()

    main_thread = threading.get_ident()
    hook, sys.unraisablehook = sys.unraisablehook, again
    handlers = {number: signal.signal(number, interrupt) for number in asked}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


@contextmanager
def _warnings_as_sentences() -> Iterator[None]:
    """Print warnings about input as one sentence each, to stderr; others as Python does."""

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, InputWarning):
            if str(message) not in said:  # a table may be read more than once
                said.add(str(message))
                _say("warning: ", "yellow", str(message))
        else:
            usual(message, category, filename, lineno, file, line)

    said: set[str] = set()
    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = shown
        yield


def fail(sentence: str, code: int) -> NoReturn:
    """Print a sentence to stderr and exit."""
    _say("error: ", "red", sentence)
    _exit(code)


def _say(what: str, color: str, sentence: str) -> None:
    """Print a sentence to stderr, where that can be written."""
    with suppress(OSError):
        say(sentence, what, color)


def _exit(code: int) -> NoReturn:
    """Exit; what was printed and can't be written goes nowhere, so that Python finds nothing to write at its end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _is_of_printing(error: OSError) -> bool:
    """Tell whether it was raised by what prints, Click, Rich or this module, and not by what writes outputs."""
    frame = [entry for entry, _ in traceback.walk_tb(error.__traceback__)][-1]
    return (
        str(frame.f_globals.get("__name__")).partition(".")[0] in ("click", "rich") or frame.f_code is _flush.__code__
    )


def _flush(stream: TextIO | None) -> None:
    if stream is not None:  # as it is where the descriptor was closed before the start
        stream.flush()


def _fill_descriptors() -> None:
    """Open what was closed of stdin, stdout and stderr to nowhere, lest an output file get a number they print to."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
