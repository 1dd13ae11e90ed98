"""`fastbox` and `python -m fastbox`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress

__all__ = ["command", "leave", "main"]


def command() -> None:
    """Run the command line as a process of its own, which ends at once."""
    try:
        main()
    except SystemExit as end:
        leave(end.code)
        raise


def main() -> None:
    """Run the command line, also where it is interrupted before it has begun."""
    _start_fast()
    try:
        from fastbox.cli import main as run
        from fastbox.kernels.build import forks

        forks.allowed = True  # no other code has begun threads in this process
        run(prog_name="fastbox")
    except KeyboardInterrupt:
        with suppress(OSError):
            os.write(2, b"error: interrupted; nothing was written\n")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        os._exit(128 + signal.SIGINT)  # on Windows


def _start_fast() -> None:
    """Set what a process of the command line does at its start beside its work."""
    # No command multiplies matrices, and the threads that OpenBLAS starts with NumPy wait in a loop at first.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("LANGUAGE", "C")  # or click looks for files with translations of its words, which has none
    if hasattr(sys, "setdlopenflags"):  # functions of Arrow's libraries are looked up when they are called: few are
        sys.setdlopenflags(os.RTLD_LAZY)
    gc.set_threshold(100_000)  # modules make many objects, none of them garbage


def leave(code: object) -> None:
    """End the process at once: to take modules and libraries apart piece by piece takes Python milliseconds.

    What was registered for the end is called first. Where something watches the process, or the output can't be
    written, Python ends it.
    """
    watched = sys.gettrace() or sys.getprofile() or sys.flags.inspect
    if watched or not isinstance(code, int):
        return
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            return
    os._exit(code)


if __name__ == "__main__":  # a process that it starts imports this again
    command()
