"""Run a job fragment by fragment, on this machine or a cluster, so that no fragment is done twice."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from fastbox.arrow.arrays import UnsortedError
from fastbox.datasets.as_source import Given, images_of
from fastbox.datasets.file_names import FileNames
from fastbox.errors import InputError
from fastbox.fragments.canonical import digest
from fastbox.fragments.claim import claimed, is_unfinished, mark_finished, mark_unfinished
from fastbox.fragments.commits import Task, done_in, fingerprint, part_names, remove_more
from fastbox.fragments.engines import Engine, threads
from fastbox.jobs.base import FirstPass, Tables, Traits, result_of, traits_of
from fastbox.jobs.progress import halved
from fastbox.memory import check_kept
from fastbox.report.page.write import check_report
from fastbox.report.provenance import Provenance
from fastbox.result import Result
from fastbox.results.merge import Gathered
from fastbox.storage.backed import Backed
from fastbox.storage.convention import TABLE_ENDING, check_name
from fastbox.storage.folders import sync_folder
from fastbox.storage.locate import find_files
from fastbox.storage.outputs import check_outputs
from fastbox.storage.stores import is_stored, local, make_folder
from fastbox.storage.temporary import remove_abandoned
from fastbox.tables.fragments import FRAGMENT_ROWS, beside, cut
from fastbox.tables.frames import listed
from fastbox.tables.sink import Target
from fastbox.tables.source import Source, count_boxes
from fastbox.values.arguments import checked

__all__ = ["spread"]

RETRIES, PAUSE = 3, 0.5  # seconds before the first one, twice as long before the next
TRANSIENT = {getattr(errno, name, None) for name in ("EAGAIN", "EBUSY", "EINTR", "EIO", "EREMOTEIO", "ESTALE")} | {
    getattr(errno, name)
    for name in ("ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ETIMEDOUT")
}


@checked
def spread(
    job: Callable[..., Any],
    *tables: Given,
    out: str | os.PathLike[str] | None = None,
    engine: Engine = threads,
    fragment_rows: int = FRAGMENT_ROWS,
    overwrite: bool = False,
    report: str | os.PathLike[str] | None = None,
    progress: Callable[[int], object] | None = None,
    log: Callable[[Mapping[str, Any]], object] | None = None,
    **options: Any,
) -> Any:
    """Run a job over the fragments of its tables, and return the result for all of them.

    A fragment is a range of images, planned from the footers of the tables. Each fragment writes its own file,
    ``part-00000.parquet`` and so on; together, in the order of their names, the files hold the rows that the job would
    have written to one file. A part is done when its footer has its record, which is written last. A second run skips
    the parts that are done and does the others, so a killed run can be started again.

    Parameters
    ----------
    job : callable
        One of :func:`fastbox.jobs.measure`, :func:`~fastbox.jobs.pairs`, :func:`~fastbox.jobs.nms`,
        :func:`~fastbox.jobs.assign`, :func:`~fastbox.jobs.evaluate`, :func:`~fastbox.jobs.suspects` and
        :func:`~fastbox.jobs.inspect`; the last two read their boxes twice, the first time in every run.
    *tables : Source, path, directory, glob or a list of paths
        The tables of the job; for a cluster, Parquet sorted by image id on a file system that all workers see.
    out : path, optional
        The folder for the parts; by default only the result is computed.
    engine : Engine
        The engine that runs the fragments: ``fastbox.fragments.threads``, or that of a Dask client, a Spark session or
        a Ray cluster (``fragments.dask``, ``spark``, ``ray``). It makes no difference to any byte or figure.
    fragment_rows : int
        The approximate number of boxes of a fragment.
    overwrite : bool
        Start again if the folder holds parts of another run.
    report : path, optional
        The page of the job to write, without examples and heat maps, which parts do not keep.
    progress : callable, optional
        Called with the number of boxes done since the last call, those of a fragment when it is done.
    log : callable, optional
        Called for each fragment when it is done, with its number ``fragment`` of ``fragments``, its ``boxes``, the flag
        ``skipped`` of a fragment that was done before, the number of ``retries`` after failures of a disk or network,
        ``boxes_done`` of ``boxes_in_all``, and the ``seconds`` since the start.
    **options
        The options of the job; ``pictures`` are shown if the page has examples.

    Raises
    ------
    InputError
        The errors of the job, ids that are not ascending, a folder with parts of another run, or an option for an
        output that only a job without fragments can write.
    ValueError
        Another job, which needs its tables whole.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> from fastbox import jobs
    >>> folder = tempfile.mkdtemp()
    >>> table = pa.table({"image_id": [1, 1, 2, 3], "bbox": [[0.0, 0, 4, 4]] * 4, "score": [0.1, 0.2, 0.3, 0.4]})
    >>> boxes, kept = os.path.join(folder, "boxes.parquet"), os.path.join(folder, "kept")
    >>> pq.write_table(table, boxes, row_group_size=1)
    >>> spread(jobs.nms, boxes, out=kept, fragment_rows=2).kept
    3
    >>> sorted(os.listdir(kept))
    ['part-00000.parquet', 'part-00001.parquet']
    """
    tables = tuple(map(listed, tables))
    traits = _traits_of(job, options)
    pictures = options.pop("pictures", None)
    if report is not None and result_of(job).page is Result.page:
        raise InputError(f"expected a job that has a page, got {job.__name__}: leave the report out")
    check_report(report, pictures, out)
    named = [options.get(name) for name in traits.names]
    named += [file for name in traits.reads if isinstance(file := options.get(name), str | os.PathLike)]
    written = {"out": None if out is None else os.path.join(out, ""), "report": report}
    check_outputs([*tables, *named], {}, written, pictures=pictures)
    provenance = Provenance.of(job, tables, options if pictures is None else {**options, "pictures": pictures})
    if out is not None:
        check_name(local(out).rstrip("/"), TABLE_ENDING, "a folder of Parquet files")
    opened = Tables.of(job, tables, options)
    fragments = _fragments(traits, opened, engine, fragment_rows)
    tasks = [Task(job, fragment, options) for fragment in fragments]
    if traits.kept:  # all data that parts keep are collected here
        check_kept(sum(count_boxes(task.sources[0]) for task in tasks), traits.kept)
    if traits.first_pass is not None:
        progress = None if progress is None else halved(progress)
        tasks = _after_first_pass(traits.first_pass, tasks, opened.sources[0], engine, progress)
    watch = _Watch([task.boxes for task in tasks], progress, log)
    whole = _all_of(tasks, engine, watch) if out is None else _written(tasks, out, engine, watch, overwrite)
    whole.inputs, whole.provenance = opened.notes(), provenance
    whole.file_names = FileNames(opened.sources, options.get("images_table"))
    if report is not None:
        whole.report(report, pictures=pictures)
    return whole


def _traits_of(job: Callable[..., Any], options: Mapping[str, Any]) -> Traits:
    """Return the traits of a job; refuses a job or an option that needs its tables whole."""
    traits = traits_of(job)
    if traits is None or not traits.adds_up:
        name = getattr(job, "__name__", job)
        raise ValueError(
            f"expected a job that runs in fragments, such as fastbox.jobs.nms, got {name!r}: call this job directly"
        )
    for name, what in traits.whole.items():
        if options.get(name) is not None:
            raise InputError(f"expected {what} of a job without fragments, got fragments: leave one of the two out")
    return traits


def _written(tasks: Sequence[Task], out: str | os.PathLike[str], engine: Engine, watch: _Watch, overwrite: bool) -> Any:
    """Return the result for all fragments, each of which writes its part into a folder; parts that are done stay."""
    folder = local(out).rstrip("/") if is_stored(out) else local(out)
    names = [os.path.join(folder, name) for name in part_names(len(tasks))]
    tasks = [replace(task, target=Target(name, fingerprint(task))) for task, name in zip(tasks, names, strict=True)]
    run = digest([task.target for task in tasks])
    make_folder(folder)
    with claimed(folder, run, tasks[0].job.__name__, overwrite=overwrite):
        known = () if overwrite else done_in(folder, tasks)
        finished = not is_unfinished(folder)
        try:
            whole = _all_of(tasks, engine, watch, known, partial(mark_unfinished, folder))
        except BaseException:
            if finished and engine is threads:  # on a cluster, workers may still write parts
                mark_finished(folder)
            raise
        if overwrite:
            remove_more(folder, len(tasks))
        if not is_stored(folder):
            sync_folder(folder)
        mark_finished(folder)
        remove_abandoned(folder, set(part_names(len(tasks))))
    return whole


def _all_of(
    tasks: Sequence[Task],
    engine: Engine,
    watch: _Watch,
    known: Iterable[tuple[int, Any]] = (),
    begin: Callable[[], object] | None = None,
) -> Any:
    """Return the result for all fragments, some of which are known; ``begin`` is called before the others begin."""
    found, done = Gathered(), []
    for index, result in known:
        found.add(index, result)
        done.append(index)
    watch.skip(done)
    todo = sorted({*range(len(tasks))}.difference(done), key=lambda index: (-tasks[index].boxes.bit_length(), index))
    if todo and begin is not None:
        begin()
    with closing(_results(engine, [tasks[index] for index in todo])) as results:
        for place, result, retries in results:
            found.add(todo[place], result)
            watch.done(todo[place], retries)
    whole = found.merged()
    whole.check()
    return whole


def _results(engine: Engine, tasks: Sequence[Task]) -> Generator[tuple[int, Any, int]]:
    """Yield the result of each fragment, in any order, and the number of its retries; an error is raised."""
    results = engine(_run, tasks)
    try:
        for place, (result, retries) in results:
            if isinstance(result, Exception):
                raise result
            yield place, result, retries
    finally:
        if isinstance(results, Generator):
            results.close()


def _run(task: Task) -> tuple[Any, int]:
    """Return the result of a fragment, or the error of its input, and the number of tries that failed before.

    Unusable input is not tried again; after an error of a disk or a network another try may succeed.
    """
    for retries in range(RETRIES + 1):
        try:
            return task.job(*task.sources, out=task.target, **task.options), retries
        except (TypeError, ValueError) as error:
            return error, retries
        except OSError as error:
            if retries == RETRIES or error.errno is None or error.errno not in TRANSIENT:
                raise
        time.sleep(PAUSE * 2**retries)
    raise AssertionError("the last try returns or raises")


def _after_first_pass(
    first_pass: FirstPass,
    tasks: Sequence[Task],
    table: Source,
    engine: Engine,
    progress: Callable[[int], object] | None,
) -> list[Task]:
    """Return the fragments with the options that the first pass over the whole table adds."""

    def everywhere(function: Callable[..., Any], **options: Any) -> Iterator[tuple[int, Any]]:
        first = [Task(function, task.sources, options) for task in tasks]
        for place, found, _ in _results(engine, first):
            yield place, found
            if progress is not None:
                progress(first[place].boxes)

    more = first_pass(table, [task.sources[0] for task in tasks], tasks[0].options, everywhere)
    return [replace(task, options={**task.options, **own}) for task, own in zip(tasks, more, strict=True)]


def _fragments(traits: Traits, tables: Tables, engine: Engine, rows: int) -> list[tuple[Source, ...]]:
    """Return the fragments of some tables; unsorted tables are sorted first, where all work is done in this process."""
    for source in tables.sources:
        files = find_files(source.path)
        if engine is not threads and any(isinstance(file, Backed) for file in files):
            first = next(file for file in files if isinstance(file, Backed))
            how = f"write it as such with {first.writing()}"
            raise InputError(f"expected Parquet files that all workers can read, got {first}: {how}")
    while True:
        try:
            sources = tables.sources
            if traits.beside and len(sources) == 1 and (listed := images_of(None, sources[0])):
                sources.append(listed)
            return _cut(traits, sources, rows)
        except UnsortedError as error:
            if engine is not threads:
                raise
            tables.sort(error)


def _cut(traits: Traits, sources: Sequence[Source], rows: int) -> list[tuple[Source, ...]]:
    if not traits.beside:
        return cut(sources, rows)
    boxes = [fragment for (fragment,) in cut(sources[:1], rows)]
    listed = [beside(replace(source, image=sources[0].image), boxes) for source in sources[1:]]
    return list(zip(boxes, *listed, strict=True))


class _Watch:
    """The progress and the log of the fragments that are done."""

    def __init__(self, sizes: Sequence[int], progress: Callable[[int], object] | None, log: Any) -> None:
        self._sizes, self._progress, self._log = sizes, progress, log
        self._done = 0
        self._start = time.monotonic()

    def skip(self, indices: Iterable[int]) -> None:
        """Report the fragments that were done before, all their boxes at once."""
        boxes = sum(self._log_done(index, skipped=True, retries=0) for index in indices)
        if boxes and self._progress is not None:
            self._progress(boxes)

    def done(self, index: int, retries: int) -> None:
        """Report a fragment."""
        boxes = self._log_done(index, skipped=False, retries=retries)
        if self._progress is not None:
            self._progress(boxes)

    def _log_done(self, index: int, *, skipped: bool, retries: int) -> int:
        boxes = self._sizes[index]
        self._done += boxes
        if self._log is not None:
            seconds = round(time.monotonic() - self._start, 3)
            entry = {"fragment": index, "fragments": len(self._sizes), "boxes": boxes, "skipped": skipped}
            entry |= {"retries": retries, "boxes_done": self._done, "boxes_in_all": sum(self._sizes)}
            self._log(entry | {"seconds": seconds})
        return boxes
