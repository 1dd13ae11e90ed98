"""`fastbox` and `python -m fastbox`."""

from __future__ import annotations

import os
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
        os._exit(1)


if __name__ == "__main__":  # a process that it starts imports this again
    main()
