"""Every row of the pages for users of other libraries runs, and gives what the library gives."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.coming_from import (
    BLOCK,
    FOLDER,
    TENSORS,
    Row,
    calls,
    inputs,
    our_names,
    pages,
    recorded,
    rows,
    text_of,
    their_names,
    value_of,
)
from support.paths import ROOT

from fastbox import jobs
from fastbox.cli import main

CALLS, COMMANDS = calls("fastbox"), calls("command")
VALUES = recorded()
MISSING = (ImportError, RuntimeError, OSError)  # a library that is installed for another machine raises these


def names(found: list[Row]) -> list[str]:
    return [f"{row.page}: {row.theirs[:50]}" for row in found]


def test_each_row_is_code_with_a_recorded_value() -> None:
    assert {row.page for row in CALLS} == {row.page for row in COMMANDS} == set(pages()) == set(VALUES)
    assert all(row.theirs[0] == row.theirs[-1] == row.ours[0] == row.ours[-1] == "`" for row in rows("fastbox"))
    assert all(row.ours.startswith("`fastbox ") for row in rows("command"))
    assert {page: {row.theirs for row in CALLS if row.page == page} for page in VALUES} == {
        page: set(values) for page, values in VALUES.items()
    }
    assert all(f"({page}.md)" in text_of("index") for page in pages())


@pytest.mark.parametrize("row", CALLS, ids=names(CALLS))
def test_fastbox_gives_the_value_of_the_library(row: Row) -> None:
    wanted = np.asarray(VALUES[row.page][row.theirs])
    found = value_of(row.ours, our_names(row.page))
    assert found.shape == wanted.shape and found.size > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", pages())
def test_the_library_gives_the_recorded_values(page: str) -> None:
    try:
        given = their_names(page)
    except MISSING as error:
        pytest.skip(f"the library of {page} can't be imported here: {error}")
    for theirs, wanted in VALUES[page].items():
        np.testing.assert_allclose(value_of(theirs, given), np.asarray(wanted), rtol=1e-6, atol=1e-9, err_msg=theirs)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(TENSORS))
def test_fastbox_takes_the_tensors_of_a_page_as_they_are(page: str) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    for row in CALLS:
        if row.page == page and "np.c_" not in row.ours:
            wanted = VALUES[page][row.theirs]
            np.testing.assert_allclose(value_of(row.ours, inputs(page, True)), wanted, rtol=1e-5, atol=1e-6)


def test_the_call_for_all_images_counts_what_a_loop_over_them_counts() -> None:
    before, after = BLOCK.findall(text_of("torchvision"))[:2]
    rng = np.random.default_rng(0)
    boxes, truths = (rng.uniform(0, 60, (count, 4)) for count in (300, 90))
    for one in (boxes, truths):
        one[:, 2:] = one[:, :2] + 20 + one[:, 2:] / 3
    images, owners = np.sort(rng.integers(0, 12, 300)), np.sort(rng.integers(3, 15, 90))
    scores, labels = rng.random(300), rng.integers(0, 3, 300)
    ours: dict[str, object] = {}
    exec(after, ours)
    count = ours["found"](boxes, scores, labels, images, truths, owners)  # type: ignore[operator]
    assert 0 < count < 300
    wanted = 0
    for image in range(15):  # the loop of the page, in NumPy
        mine = np.flatnonzero(images == image)
        order, kept = mine[np.argsort(-scores[mine])], list[int]()
        for row in order:
            if all(labels[row] != labels[other] or iou(boxes[row], boxes[other]) <= 0.5 for other in kept):
                kept.append(row)
        wanted += sum(any(iou(boxes[row], one) >= 0.5 for one in truths[owners == image]) for row in kept)
    assert count == wanted
    try:
        import torch
        import torchvision  # noqa: F401
    except MISSING:
        return  # the loop of the page itself needs torchvision
    theirs: dict[str, object] = {}
    exec(before, theirs)
    columns = {"boxes": boxes, "scores": scores, "labels": labels}
    each = [
        {name: torch.as_tensor(column[images == image]) for name, column in columns.items()}
        | {"truths": torch.as_tensor(truths[owners == image])}
        for image in range(15)
    ]
    assert theirs["found"](each) == count  # type: ignore[operator]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0) * max(height, 0)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the commands of the pages read."""
    folder: Path = tmp_path_factory.mktemp("coming-from")
    for name, copy in (("detections", "detections"), ("truths", "truths"), ("detections", "more")):
        shutil.copy(ROOT / "data" / f"{name}.parquet", folder / f"{copy}.parquet")
    jobs.convert(folder / "truths.parquet", folder / "instances.json")
    jobs.convert(folder / "instances.json", folder / "table.parquet", write_images=folder / "images.parquet")
    table, listed = pq.read_table(folder / "detections.parquet"), pq.read_table(folder / "images.parquet")["image_id"]
    pq.write_table(table.filter(pc.is_in(table["image_id"], listed.combine_chunks())), folder / "some.parquet")
    jobs.convert(folder / "some.parquet", folder / "results.json", out_format="coco-results")
    jobs.convert(folder / "instances.json", folder / "yolo", out_format="yolo")
    jobs.convert(folder / "instances.json", folder / "voc", out_format="voc")
    return folder


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("command", sorted({row.ours for row in COMMANDS}))
def test_the_commands_run(command: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for extra in ("jinja2", "matplotlib", "scipy", "PIL", "defusedxml", "yaml"):
        pytest.importorskip(extra, reason="the commands need the extras formats, optimize and report")
    monkeypatch.chdir(files)
    program, *arguments = shlex.split(command)
    before = set(files.iterdir())
    result = CliRunner().invoke(main, arguments)
    assert (program, result.exit_code) == ("fastbox", 0), result.output
    assert result.output
    for written in set(files.iterdir()) - before:
        shutil.move(written, tmp_path)
    written = [one for one in arguments if one.endswith((".parquet", ".html", "fitted.json", "coco.json", "yolo-out"))]
    assert all((files / one).exists() or (tmp_path / one).exists() for one in written)


def test_the_guide_uses_links_that_exist() -> None:
    for page in ("index", *pages()):
        for target in BLOCK.sub("", text_of(page)).split("](")[1:]:
            path = target.split(")")[0].split("#")[0]
            assert not path or path.startswith("http") or (FOLDER / path).exists(), (page, target)
