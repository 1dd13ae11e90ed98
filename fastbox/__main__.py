"""`fastbox` and `python -m fastbox`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
from contextlib import suppress

__all__ = ["main"]


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
    """Set what a process of the command line does at its start and at its end beside its work."""
    # No command multiplies matrices, and the threads that OpenBLAS starts with NumPy wait in a loop at first.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(100_000)  # modules make many objects, none of them garbage
    atexit.register(gc.freeze)  # the memory of the process is freed as a whole


if __name__ == "__main__":  # a process that it starts imports this again
    main()
