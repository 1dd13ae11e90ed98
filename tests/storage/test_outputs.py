"""No output replaces an input or another output, whatever they are called; every job and command is asked."""

from __future__ import annotations

import inspect
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.commands import COMMANDS

from fastbox import InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.fragments import spread
from fastbox.storage.outputs import check_outputs

SIDES = {"xmin": 0.0, "ymin": 0.0, "xmax": 9.0, "ymax": 9.0}


def boxes(path: Path, n: int = 6) -> Path:
    """A table that every job takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {"image_id": list(range(n)), "category_id": [1] * n, "score": [0.5] * n, "iscrowd": [0] * n}
    rows |= {"width": [20] * n, "height": [20] * n}
    rows |= {
        f"{side}{name}": [value + k for k in range(n)]
        for side in ("", "pred_", "target_")
        for name, value in SIDES.items()
    }
    pq.write_table(pa.table(rows), path)
    return path


def other_names(path: Path) -> Iterator[str]:
    """The same file under as many names as there are kinds of them."""
    link, hard = path.with_name("link.parquet"), path.with_name("hard.parquet")
    folder = path.with_name("folder-link")
    link.symlink_to(path)
    os.link(path, hard)
    folder.symlink_to(path.parent)
    yield from map(str, (path, link, hard, folder / path.name, path.parent / "x" / ".." / path.name))
    yield f"{path.parent}//./{path.name}"
    yield f"file://{path}"
    yield f"file://localhost{path}".replace(path.name, path.name.replace("a", "%61"))
    yield os.path.relpath(path)


def test_one_file_under_all_its_names(tmp_path: Path) -> None:
    path = boxes(tmp_path / "here" / "a.parquet")
    (path.parent / "x").mkdir()
    for one, two in itertools.product(list(other_names(path)), repeat=2):
        with pytest.raises(
            InputError,
            match=r"the output .* is (also an input|the same file as the input .*): choose another output path",
        ):
            check_outputs([one], {"out": two})
        with pytest.raises(InputError, match=r"is the output for both out and report"):
            check_outputs([], {"out": one}, {"report": two})
    check_outputs([path], {"out": path.with_name("b.parquet"), "fix": None}, {"report": tmp_path / "r.html"})
    with pytest.raises(InputError, match=r"is the output for both|choose another output path"):
        check_outputs([path.with_name("new.parquet")], {"out": f"{tmp_path}/here/../here/new.parquet"})
    assert path.read_bytes()


def test_stores_have_more_than_one_name_for_an_object_too() -> None:
    for same in (
        "s3://b/in/x.parquet",
        "s3://b//in//x.parquet",
        "s3a://b/in/x.parquet",
        "s3://b/in/%78.parquet?region=r",
    ):
        with pytest.raises(InputError, match="choose another output path"):
            check_outputs(["s3://b/in/x.parquet"], {"out": same})
    check_outputs(["s3://b/in/x.parquet"], {"out": "s3://b/in/y.parquet"})
    for inputs, out in (
        ("s3://b/in", "s3://b/in/y.parquet"),
        ("s3://b/in/", "s3://b/in/parts/"),
        ("s3://b/in/*.parquet", "s3://b/in/parts/"),
        ("s3://b/in/x.parquet", "s3://b/in/"),
        ("s3://b/in/x.parquet", "s3://b"),
    ):
        with pytest.raises(InputError, match=r"lies in the input|holds the input"):
            check_outputs([inputs], {}, {"out": out})


def test_what_would_be_read_the_next_time(tmp_path: Path) -> None:
    path = boxes(tmp_path / "in" / "deep" / "a.parquet")
    folder = tmp_path / "in"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "linked").symlink_to(elsewhere)
    for out in (
        "out.parquet",
        "deep/out.parquet",
        "parts/",
        "deep/../parts/",
        "linked/out.parquet",
        "../elsewhere/out.parquet",
    ):
        with pytest.raises(InputError, match=r"lies in the input .*, and the next run would read it"):
            check_outputs([folder], {}, {"out": f"{folder}/{out}"})
    for pattern in (f"{folder}/deep/*.parquet", f"{folder}/**/*.parquet", f"{folder}/*/*.parquet", f"{folder}/deep/o*"):
        with pytest.raises(InputError, match=r"the output .* matches the pattern"):
            check_outputs([pattern], {"out": path.with_name("out.parquet")})
    check_outputs([f"{folder}/deep/a*.parquet"], {"out": path.with_name("out.parquet")})
    check_outputs(
        [folder], {"out": tmp_path / "out.parquet"}, {"report": folder / "report.html", "plot": folder / "p.svg"}
    )
    for out in (folder, tmp_path, f"{folder}/deep/", f"{tmp_path}/in/"):
        with pytest.raises(InputError, match=r"holds the input .*: choose another folder"):
            check_outputs([path], {}, {"out": os.path.join(out, "")})
    check_outputs([path], {}, {"out": f"{tmp_path}/parts/"})


def test_names_that_promise_another_format(tmp_path: Path) -> None:
    for name in ("x.csv", "x.HTML", "x.json", "x.txt", "x.xlsx", "x.arrow", "x.png"):
        with pytest.raises(
            InputError, match=rf"expected the name of a Parquet file to write, got {name}: name it x\.parquet"
        ):
            check_outputs([], {"out": name})
    check_outputs([], {"out": "x"})


def test_frames_and_lists_of_numbers_are_no_paths(tmp_path: Path) -> None:
    check_outputs([pa.table({"a": [1]}), None, [[0.0, 1.0]], {"a": 1}, b"x"], {"out": tmp_path / "x.parquet"})


# Every job: what it writes is found by its signature, so that a new one is asked too.

NO_PATHS = {"plan", "disagreement"}  # which write nothing
OUTPUTS = {"out", "report", "fix", "changes", "detections_out", "truths_out", "images_out"}


def written_by(job: Callable[..., Any]) -> list[str]:
    """The arguments of a job that name what it writes."""
    names = inspect.signature(job).parameters
    if job is jobs.synthesize:
        return ["truths", "detections", "pairs"]
    return [name for name in names if name in OUTPUTS or (job is jobs.convert and name == "write_images")]


def calls(folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Of each job its inputs and what else it needs."""
    a, b = boxes(folder / "a.parquet"), boxes(folder / "b.parquet")
    grid = AnchorGrid.preset("retinanet")
    return {
        "assign": ({"truths": a}, {"anchors": grid, "resize": Resize.parse("640")}),
        "convert": ({"source": a}, {"write_images": None}),
        "evaluate": ({"detections": a, "truths": b}, {}),
        "fit_anchors": ({"truths": a}, {"count": 1}),
        "fuse": ({"tables": [a, b]}, {}),
        "inspect": ({"truths": a, "images": b}, {}),
        "measure": ({"paths": a}, {}),
        "nms": ({"detections": a}, {}),
        "pairs": ({"detections": a, "truths": b}, {}),
        "regression": ({}, {"points": 1, "steps": 1}),
        "synthesize": ({}, {"count": 1}),
        "sort": ({"tables": a}, {}),
    }


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "name", sorted({n for n in jobs.__all__ if callable(getattr(jobs, n)) and n.islower()} - NO_PATHS)
)
def test_no_job_replaces_what_it_reads_or_writes(name: str, tmp_path: Path) -> None:
    job = getattr(jobs, name)
    inputs, options = calls(tmp_path)[name]
    written = written_by(job)
    assert written, f"what does {name} write? name it in OUTPUTS"
    before = everything(tmp_path)
    files = [file for given in inputs.values() for file in (given if isinstance(given, list) else [given])]
    for out, file in itertools.product(written, files):
        more = {"fix": tmp_path / "fixed.parquet"} if out == "changes" else {}
        more |= {"out": tmp_path / "free.parquet"} if job is jobs.convert and out != "out" else {}
        for same in (file, f"file://{file}", file.parent / "." / file.name):
            with pytest.raises(InputError):
                job(**inputs | options | more | {out: same})
            assert everything(tmp_path) == before
    for one, two in itertools.combinations(written, 2):
        new = tmp_path / ("new.html" if "report" in (one, two) else "new.parquet")
        more = {"fix": tmp_path / "fixed.parquet"} if "changes" in (one, two) and "fix" not in (one, two) else {}
        more |= {"truths": tmp_path / "t.parquet"} if job is jobs.synthesize else {}
        with pytest.raises(InputError):
            job(**inputs | options | more | {one: new, two: new.parent / "." / new.name})
        assert everything(tmp_path) == before


def test_the_list_of_changes_is_an_output_though_nobody_names_it(tmp_path: Path) -> None:
    path = boxes(tmp_path / "a.log.parquet")
    with pytest.raises(InputError, match="choose another output path"):
        jobs.inspect(path, fix=tmp_path / "a.parquet")
    assert os.listdir(tmp_path) == ["a.log.parquet"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_in_fragments_never_writes_where_it_reads(overwrite: bool, tmp_path: Path) -> None:
    path = boxes(tmp_path / "in" / "part-00000.parquet")
    boxes(tmp_path / "in" / "part-00001.parquet")
    before = everything(tmp_path)
    for source in (path, path.parent, f"{path.parent}/*.parquet", [path], f"file://{path}"):
        for out in (path.parent, f"{path.parent}/", tmp_path, f"file://{path.parent}", f"{path.parent}/parts/"):
            if out == f"{path.parent}/parts/" and source in (
                path,
                [path],
                f"file://{path}",
                f"{path.parent}/*.parquet",
            ):
                continue
            with pytest.raises(InputError):
                spread(jobs.nms, source, out=out, overwrite=overwrite, fragment_rows=2)
            assert everything(tmp_path) == before, (source, out)
    with pytest.raises(InputError, match="is the output for both"):
        spread(jobs.pairs, path, out=tmp_path / "x.html", report=tmp_path / "x.html")
    assert everything(tmp_path) == before


# Every command: all options that take a path, two by two.


INPUTS = {"truths", "detections", "tables", "pairs", "source", "sizes", "names", "anchors", "more_images"}
REFUSED = r"choose another (output|path|folder)|expected (a page|a picture|UTF-8|a JSON)"
UNASKED = {"names", "sizes"}  # of some formats alone
NEEDED = {
    "assign": ["--anchors", "retinanet", "--resize", "64"],
    "anchors": ["--count", "1"],
    "regression": ["--points", "1", "--steps", "1"],
}


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_no_command_replaces_what_it_reads_or_writes(words: tuple[str, ...], tmp_path: Path) -> None:
    command = COMMANDS[words]
    places = [given for given in command.params if isinstance(given.type, click.Path)]
    known = set() if words == ("synthesize",) else INPUTS
    reads = [p for p in places if p.name in known]
    writes = [p for p in places if p not in reads]
    inputs = {p.name: boxes(tmp_path / f"in-{p.name}.parquet") for p in reads if p.name not in UNASKED}
    before = everything(tmp_path)

    def call(outputs: dict[str, Any]) -> Any:
        asked: list[str] = [*words, *NEEDED.get(words[-1], [])]
        ordered = [p for p in command.params if isinstance(p, click.Argument)] + [
            p for p in places if isinstance(p, click.Option)
        ]
        for p in ordered:
            value = outputs.get(p.name, inputs.get(p.name))
            if value is None and isinstance(p, click.Argument):
                value = tmp_path / "free.parquet"
            if value is not None:
                asked += [str(value)] if isinstance(p, click.Argument) else [p.opts[0], str(value)]
        return CliRunner().invoke(main, asked)

    for written, (_, file) in itertools.product(writes, inputs.items()):
        more = {"fix": tmp_path / "fixed.parquet"} if written.name == "changes" else {}
        result = call({**more, written.name: file})
        assert result.exit_code == 2 and re.search(REFUSED, result.output), (written.name, file, result.output)
        assert everything(tmp_path) == before, (written.name, file)
    for one, two in itertools.combinations(writes, 2):
        kinds = {p.name for p in (one, two)}
        ending = "html" if "report" in kinds else "svg" if "plot" in kinds else "parquet"
        more = {"fix": tmp_path / "fixed.parquet"} if "changes" in kinds and "fix" not in kinds else {}
        result = call({**more, one.name: tmp_path / f"new.{ending}", two.name: tmp_path / "." / f"new.{ending}"})
        assert result.exit_code == 2 and re.search(REFUSED, result.output), (kinds, result.output)
        assert everything(tmp_path) == before, kinds


@pytest.mark.parametrize("name", ["", "-"])
def test_what_is_no_name_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = boxes(tmp_path / "a.parquet")
    for call in (
        ["nms", str(path), "-o", name],
        ["sort", str(path), "-o", name],
        ["inspect", str(path), "--fix", name],
    ):
        refused = CliRunner().invoke(main, call)
        assert refused.exit_code == 2 and "expected the name of a file to write as " in refused.stderr, refused.output
    assert os.listdir(tmp_path) == ["a.parquet"]


@pytest.mark.parametrize("fragments", [False, True])
def test_the_file_of_names_is_an_input(fragments: bool, tmp_path: Path) -> None:
    a, b = boxes(tmp_path / "a.parquet"), boxes(tmp_path / "b.parquet")
    names = tmp_path / "names.html"
    names.write_text("cat\ndog\n")
    before = everything(tmp_path)
    for out, report in ((names, None), (None, names), (tmp_path / "new.parquet", f"file://{names}")):
        given = {"names": names, "out": out, "report": report}
        with pytest.raises(InputError):
            spread(jobs.evaluate, a, b, **given) if fragments else jobs.evaluate(a, b, **given)  # type: ignore
        assert everything(tmp_path) == before
    jobs.evaluate(a, b, names=["a.parquet", "out.parquet"], out=tmp_path / "out.parquet")


def test_a_page_may_lie_beside_the_parts(tmp_path: Path) -> None:
    a = boxes(tmp_path / "a.parquet")
    for _ in range(2):
        spread(jobs.pairs, a, out=tmp_path / "parts", report=tmp_path / "parts" / "page.html")
        assert sorted(os.listdir(tmp_path / "parts")) == ["page.html", "part-00000.parquet"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["image.png", "image.JPG"])
def test_a_plot_replaces_no_image(name: str, tmp_path: Path) -> None:
    path, plot = boxes(tmp_path / "a.parquet"), tmp_path / name
    words = ["assign", str(path), "--anchors", "retinanet", "--resize", "64", "--plot", str(plot)]
    plot.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 2 and f"{name}, which is another: name another" in refused.output
    assert len(plot.read_bytes()) == 2008
    plot.unlink()
    for _ in range(2 if name.endswith("png") else 1):  # what was drawn here may be drawn anew
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output


def test_what_is_written_is_what_the_name_says(tmp_path: Path) -> None:
    path = boxes(tmp_path / "a.parquet")
    grid = AnchorGrid.preset("retinanet")
    refused: list[tuple[str, Callable[[Path], Any]]] = [
        ("x.csv", lambda out: jobs.nms(path, out)),
        ("x.html", lambda out: jobs.pairs(path, path, out)),
        ("x.json", lambda out: jobs.assign(path, grid, out, resize=Resize.parse("640"))),
        ("x.csv", lambda out: jobs.sort(path, out)),
        ("x.csv/", lambda out: spread(jobs.nms, path, out=f"{out}/")),
        ("x.parquet", lambda out: jobs.fit_anchors(path, out, count=1)),
        ("x.html", lambda out: jobs.fit_anchors(path, out, count=1)),
        ("x.parquet", lambda out: jobs.convert(path, out, out_format="coco")),
        ("x.json", lambda out: jobs.convert(path, out, out_format="parquet")),
        ("x.json", lambda out: jobs.convert(path, out, out_format="open-images")),
        ("x.txt", lambda out: jobs.convert(path, out, out_format="crowdhuman")),
    ]
    for name, job in refused:
        with pytest.raises(InputError, match=r"expected the name of .* to write, got .*: name it .*/x\.\w+$"):
            job(tmp_path / name)
        assert os.listdir(tmp_path) == ["a.parquet"], name
    for name in ("plain", "x.v2"):
        assert jobs.sort(path, tmp_path / name)["rows"] == pq.read_table(tmp_path / name).num_rows


def test_an_input_among_others_of_several_kinds_is_known(tmp_path: Path) -> None:
    path = boxes(tmp_path / "a.parquet")
    import pyarrow.csv

    pyarrow.csv.write_csv(pq.read_table(path).select(["image_id", "score", *SIDES]), tmp_path / "b.csv")
    pq.write_table(pq.read_table(path).select(["image_id", "score", *SIDES]), path)
    before = everything(tmp_path)
    for out in (path, f"file://{path}", tmp_path / "." / "a.parquet"):
        with pytest.raises(InputError, match="choose another output path"):
            jobs.nms([tmp_path / "b.csv", path], out)
        assert everything(tmp_path) == before


@pytest.mark.slow
def test_uris_of_local_files_are_read_and_written_as_paths_are(tmp_path: Path) -> None:
    import pyarrow.csv

    folder = tmp_path / "a folder"
    rows = pq.read_table(boxes(folder / "sorted.parquet")).select(["image_id", "score", *SIDES])
    mixed = rows.take([5, 2, 0, 4, 1, 3])
    pq.write_table(mixed, folder / "mixed.parquet")
    pyarrow.csv.write_csv(mixed, folder / "mixed.csv")
    (folder / "parts").mkdir()
    for name, part in (("a", mixed[1:]), ("b", mixed[:1])):
        pq.write_table(part, folder / "parts" / f"{name}.parquet")
    uri = f"file://{tmp_path}/a%20folder"
    for name in ("sorted.parquet", "mixed.parquet", "mixed.csv", "parts"):
        asked = {"out": f"{uri}/pairs.parquet", "report": f"{uri}/page.html"}
        by_uri = jobs.pairs(f"{uri}/{name}", **asked).to_dict()  # type: ignore[arg-type]
        assert by_uri["metrics"] == jobs.pairs(folder / name).to_dict()["metrics"], name
        for made in ("pairs.parquet", "page.html"):
            (folder / made).unlink()
    jobs.fit_anchors(f"{uri}/sorted.parquet", f"{uri}/fit.json", count=1)
    assert (folder / "fit.json").exists()


def test_annotations_are_written_to_uris_of_local_files(tmp_path: Path) -> None:
    path = boxes(tmp_path / "a.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["score"]), path)
    jobs.convert(path, f"file://{tmp_path}/out%201.json")
    jobs.convert(
        tmp_path / "out 1.json", f"file://{tmp_path}/b.parquet", write_images=f"file://{tmp_path}/images.parquet"
    )
    assert sorted(os.listdir(tmp_path)) == ["a.parquet", "b.parquet", "images.parquet", "out 1.json"]
