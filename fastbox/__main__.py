"""`python -m fastbox`."""

from fastbox.cli import main

if __name__ == "__main__":  # a process that it starts imports this again
    main(prog_name="fastbox")
