"""The options of commands that can run fragment by fragment, and the run with these options."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox._version import SCHEMA
from fastbox.cli.command import option
from fastbox.cli.messages import say
from fastbox.cli.options import FRAGMENT_ROWS, MEMORY
from fastbox.cli.progress import Step
from fastbox.errors import InputError

__all__ = ["Fragments"]

json = deferred("json")


@dataclass(frozen=True)
class Fragments:
    """The options of a job that can run in fragments, and its run with these options."""

    engine: str | None = option(
        "--engine",
        type=click.Choice(["threads", "dask", "spark", "ray"]),
        metavar="NAME",
        help="Run in fragments: threads, dask, spark or ray; -o is a folder.",
    )
    address: str | None = option(
        "--address", metavar="URL", help="Address of the cluster, such as tcp://host:8786, sc://host or auto."
    )
    rows: int | None = option("--fragment-rows", **FRAGMENT_ROWS)
    overwrite: bool = option(
        "--overwrite", is_flag=True, help="Start again if the folder holds fragments of another run."
    )
    memory: str | None = option("--memory", **MEMORY)
    log: str | None = option(
        "--log", type=click.Choice(["json"]), metavar="FORMAT", help="Log on stderr: json writes a line per fragment."
    )

    def run(self, job: Callable[..., Any], *tables: Any, out: str | None, **options: Any) -> Any:
        """Run a job: in fragments where an engine is named or the output is a folder, else at once."""
        for name in ("boxes", "keep"):
            if out is None and options.get(name):
                raise InputError(f"expected a file to write with --{name}, got none: name one with -o OUT")
        given = {name for name in ("address", "rows", "log") if getattr(self, name) is not None}
        if self.engine is None and not _is_folder(out):
            if given or self.overwrite:
                raise InputError(
                    "expected a folder to write fragments to, got none: end the output's name with a slash"
                )
            return job(*tables, out=out, **options)
        from fastbox.fragments.engines import engine_of
        from fastbox.fragments.run import spread

        if out is not None and os.path.isfile(out):
            raise InputError(f"expected a folder to write fragments to, got the file {out}: name another")
        options |= {} if self.rows is None else {"fragment_rows": self.rows}
        watch = _Watch(options.get("progress"), self.log is not None)
        with engine_of(self.engine or "threads", self.address) as engine:
            found = spread(job, *tables, out=out, engine=engine, overwrite=self.overwrite, log=watch, **options)
        watch.end()
        return found


class _Watch:
    """Reports each fragment that is done: in a line of JSON, if requested, and beside the bar."""

    def __init__(self, step: Step | None, lines: bool) -> None:
        self._step, self._lines = step, lines
        self._done, self._retries, self._now = 0, 0, 0

    def __call__(self, entry: Mapping[str, Any]) -> None:
        if self._lines:
            say(json.dumps({"schema": SCHEMA, **entry}))
        self._done += 1
        self._now += not entry["skipped"]
        if self._step is not None:
            self._retries += entry["retries"]
            retried = f", {self._retries} retried" if self._retries else ""
            self._step.tell(f"{self._done} of {entry['fragments']} fragments{retried}")

    def end(self) -> None:
        """Report that an earlier run had done all parts; the lines of JSON, if requested, have reported it already."""
        if self._done and not self._now and not self._lines:
            parts = "The part was" if self._done == 1 else f"All {self._done:,} parts were"
            say(f"{parts} done already")


def _is_folder(out: str | None) -> bool:
    return out is not None and (out.endswith(("/", os.sep)) or os.path.isdir(out))
