"""`python -m fastbox`."""

from fastbox.cli import main

main(prog_name="fastbox")
