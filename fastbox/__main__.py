"""`fastbox` and `python -m fastbox`."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

__all__ = ["main"]


def main() -> None:
    """Run the command line, also where it is interrupted before it has begun."""
    try:
        from fastbox.cli import main as run

        run(prog_name="fastbox")
    except KeyboardInterrupt:
        with suppress(OSError):
            os.write(2, b"error: interrupted; nothing was written\n")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        os._exit(128 + signal.SIGINT)  # on Windows


if __name__ == "__main__":  # a process that it starts imports this again
    main()
