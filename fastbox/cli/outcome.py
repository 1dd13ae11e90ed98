"""The end of a command that fails: one sentence, an exit code, no traceback."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

import click

from fastbox.cli.command import Group
from fastbox.cli.imports import WithoutUnused
from fastbox.cli.interrupt import Interrupted, end_by, interruptible
from fastbox.cli.messages import say
from fastbox.cli.written import Written
from fastbox.errors import InputError, InputWarning
from fastbox.report.provenance import on_command_line
from fastbox.values.arguments import meant

__all__ = ["Commands", "fail"]

CONSOLE = "fastbox.report.terminal.console"


class Commands(Group):
    """A group that turns errors into one sentence and an exit code; a bug keeps its traceback."""

    _written = Written([])
    _signal: int | None = None

    def main(self, args: Sequence[str] | None = None, **options: Any) -> NoReturn:  # type: ignore[override]
        """Run the command line; the exit code is 2 where it can't be read."""
        _fill_descriptors()
        if args is None:  # the command line of a process of its own
            sys.meta_path.insert(0, WithoutUnused(sys.argv[1:]))
            atexit.register(self._end)  # runs after functions that are registered later, such as the removal of folders
        given = sys.argv[1:] if args is None else list(args)
        self._written = Written(given)
        try:
            with interruptible(), on_command_line(given):
                code = super().main(args, **{**options, "standalone_mode": False})
                _flush(sys.stdout)
        except click.exceptions.NoArgsIsHelpError as error:
            with suppress(OSError):
                error.show()
            _exit(2)
        except click.UsageError as error:
            message = _message_of(error)
            more = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
            fail(f"{message[:1].lower()}{message[1:]}{more}", 2)
        except (click.Abort, KeyboardInterrupt) as error:
            self._fail_of_signal(error)
        except OSError as error:
            self._fail_of_system(error)
        _exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line, which prints the help where it is asked for."""
        try:
            return super().make_context(*args, **extra)
        except KeyboardInterrupt as error:
            self._fail_of_signal(error)

    def invoke(self, context: click.Context) -> Any:
        """Run a command; the exit code is 1 where it could not finish, and 2 where its input can't be used."""
        try:
            with _warnings_as_sentences():
                return super().invoke(context)
        except InputError as error:
            fail(str(error), 2)
        except (KeyboardInterrupt, SystemError) as error:
            # A compiled function that is interrupted while it calls Python raises a SystemError.
            cause = error if isinstance(error, KeyboardInterrupt) else error.__cause__
            if not isinstance(cause, KeyboardInterrupt):
                raise
            self._fail_of_signal(cause)
        except MemoryError:
            self._fail("out of memory")
        except OSError as error:
            self._fail_of_system(error)

    def _fail(self, what: str, code: int = 1) -> NoReturn:
        fail(f"{what}; {self._written.described()}", code)

    def _fail_of_signal(self, error: BaseException) -> NoReturn:
        """End an interrupted command, with the exit code that a shell gives to a process that a signal ended."""
        self._signal = error.number if isinstance(error, Interrupted) else signal.SIGINT
        self._fail("terminated" if self._signal == signal.SIGTERM else "interrupted", 128 + self._signal)

    def _end(self) -> None:
        """End the process of an interrupted command by the signal that interrupted it."""
        if self._signal is not None:
            end_by(self._signal)

    def _fail_of_system(self, error: OSError) -> NoReturn:
        """End a command after an error of the system: of a file, or of the terminal or pipe that is printed to."""
        if not _is_of_printing(error):
            where = f" ({error.filename})" if error.filename else ""
            self._fail(f"{error.strerror or error}{where}")
        if isinstance(error, BrokenPipeError):  # the reader closed the pipe
            _exit(1)
        outputs = self._written.described()
        more = "" if outputs == "nothing was written" else f"; {outputs}"
        fail(f"could not print the result: {error.strerror}{more}", 1)


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
            if str(message) not in printed:  # a table may be read more than once
                printed.add(str(message))
                _say("warning: ", "yellow", str(message))
        else:
            usual(message, category, filename, lineno, file, line)

    printed: set[str] = set()
    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = shown
        yield


def _message_of(error: click.UsageError) -> str:
    """Return the message for an unusable command line."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        known = [name for parameter in error.ctx.command.get_params(error.ctx) for name in parameter.opts]
        for parameter in error.ctx.find_root().command.params:
            if error.option_name in parameter.opts and not getattr(parameter, "is_flag", False):
                program, _, words = error.ctx.command_path.partition(" ")
                given = f"{program} {error.option_name} {parameter.make_metavar(error.ctx)} {words}"
                return f"no such option {error.option_name} of '{words}': give it before, as {given}"
        names = {name.lstrip("-").replace("-", "_"): name for name in known}
        near = meant(error.option_name.lstrip("-").replace("-", "_"), names)
        return f"no such option {error.option_name}{f'; did you mean {names[near]!r}?' if near else ''}"
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Argument) and error.ctx is not None:
        arguments = [one for one in error.ctx.command.params if isinstance(one, click.Argument) and one.required]
        return f"expected {' '.join(one.make_metavar(error.ctx) for one in arguments)}, got fewer arguments"
    return error.format_message().rstrip(".")


def fail(sentence: str, code: int) -> NoReturn:
    """Print a sentence to stderr and exit."""
    _say("error: ", "red", sentence)
    _exit(code)


def _say(what: str, color: str, sentence: str) -> None:
    """Print a sentence to stderr, where that can be written."""
    with suppress(OSError):
        say(sentence, what, color)


def _exit(code: int) -> NoReturn:
    """Exit; output that can't be written is dropped, so that Python finds nothing to write at its end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _is_of_printing(error: OSError) -> bool:
    """Tell whether an error was raised by printing: in Click, Rich, the console or here, and not by writing outputs."""
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    assert entry is not None
    frame = entry.tb_frame
    name = str(frame.f_globals.get("__name__"))
    printing = name == CONSOLE or name.partition(".")[0] in ("click", "rich")
    return printing or frame.f_code is _flush.__code__


def _flush(stream: TextIO | None) -> None:
    if stream is not None:  # as it is where the descriptor was closed before the start
        stream.flush()


def _fill_descriptors() -> None:
    """Open closed standard streams on the null device, so that no output file gets one of their descriptors."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
