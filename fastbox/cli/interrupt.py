"""Ctrl-C and SIGTERM: an exception in the command, and the end of the process that a shell expects."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["Interrupted", "Terminated", "end_by", "interruptible"]

RAISED_AGAIN_AFTER = 0.02  # seconds


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; a class of its own, because Python takes its exit code from a KeyboardInterrupt even if it was caught."""

    number = signal.SIGINT


class Terminated(Interrupted):
    """SIGTERM: the signal that a scheduler or a container sends before it kills."""

    number = signal.SIGTERM


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into an exception, and raise it again where Python drops it.

    Python drops an exception that is raised in a destructor or a callback.
    """
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    asked = [number for number, handler in usual.items() if signal.getsignal(number) is handler]
    if threading.current_thread() is not threading.main_thread() or not asked:
        yield
        return

    in_hook = awaited = False

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal awaited
        awaited = False
        raise Terminated if number == signal.SIGTERM else Interrupted

    def again(dropped: sys.UnraisableHookArgs) -> None:
        nonlocal in_hook, awaited
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        in_hook = awaited = True
        number = signal.SIGTERM if issubclass(dropped.exc_type, Terminated) else signal.SIGINT
        try:
            threading.Thread(target=raise_later, args=(number,), daemon=True).start()
        finally:
            in_hook = False  # the last statement: nothing is raised between this one and the return

    def raise_later(number: signal.Signals) -> None:
        time.sleep(RAISED_AGAIN_AFTER)
        while in_hook:  # an exception inside of the hook is dropped as well
            time.sleep(RAISED_AGAIN_AFTER)
        while awaited:  # a signal ends a wait, but no wait that begins just after the signal
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(main_thread, number)
            else:
                _thread.interrupt_main(number)
            time.sleep(RAISED_AGAIN_AFTER)

    main_thread = threading.get_ident()
    hook, sys.unraisablehook = sys.unraisablehook, again
    handlers = {number: signal.signal(number, interrupt) for number in asked}
    try:
        yield
    finally:
        awaited = False
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def end_by(number: int) -> None:
    """End this process by a signal, so that a shell sees the signal and stops a loop; do nothing outside of POSIX."""
    if os.name == "posix":
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
