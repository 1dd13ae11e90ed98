"""How a command ends that can't be done: one sentence, an exit code, no traceback."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, NoReturn, TextIO

import click

from fastbox.errors import InputError, InputWarning

__all__ = ["Commands", "fail"]

RAISED_AGAIN_AFTER = 0.02  # seconds


class Commands(click.Group):
    """A group that turns what can go wrong into one sentence and an exit code; a bug keeps its traceback."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The commands in the order a newcomer meets them."""
        return list(self.commands)

    def main(self, *args: Any, **options: Any) -> NoReturn:
        """Run the command line, 2 where it can't be read."""
        try:
            with _interruptible():
                code = super().main(*args, **{**options, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(2)
        except click.UsageError as error:
            said = error.format_message().rstrip(".")
            more = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
            fail(f"{said[:1].lower()}{said[1:]}{more}", 2)
        except click.Abort:
            fail("interrupted; nothing was written", 1)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, context: click.Context) -> Any:
        """Run a command: 1 where it could not finish, 2 where what it was given can't be used."""
        try:
            with _warnings_as_sentences():
                return super().invoke(context)
        except InputError as error:
            fail(str(error), 2)
        except (KeyboardInterrupt, SystemError) as error:
            # A compiled function that calls Python and finds itself interrupted says so by a SystemError.
            if isinstance(error, SystemError) and not isinstance(error.__cause__, KeyboardInterrupt):
                raise
            fail("interrupted; nothing was written", 1)
        except MemoryError:
            fail("out of memory; nothing was written", 1)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            fail(f"{error.strerror or error}{where}; nothing was written", 1)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; not the very KeyboardInterrupt, which Python remembers for its exit code even where it was caught."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """See to it that an interrupt gets through: where it comes in a destructor or a callback, Python drops it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise Interrupted

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        # Not at once, which would be dropped in here as well; by a signal where it can be, which ends a wait too.
        kill = getattr(signal, "pthread_kill", None)
        raised = partial(kill, main_thread, signal.SIGINT) if kill else _thread.interrupt_main
        timer = threading.Timer(RAISED_AGAIN_AFTER, raised)
        timer.daemon = True
        timer.start()

    main_thread = threading.get_ident()
    hook, sys.unraisablehook = sys.unraisablehook, again
    handler = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
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
            color = False if os.environ.get("NO_COLOR") else None
            click.secho("warning: ", fg="yellow", bold=True, nl=False, err=True, color=color)
            click.echo(str(message), err=True)
        else:
            usual(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("always", InputWarning)
        warnings.showwarning = shown
        yield


def fail(sentence: str, code: int) -> NoReturn:
    """Print a sentence to stderr and exit."""
    color = False if os.environ.get("NO_COLOR") else None
    click.secho("error: ", fg="red", bold=True, nl=False, err=True, color=color)
    click.echo(sentence, err=True)
    sys.exit(code)
