"""No output replaces an input or another output, whatever they are called."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.outputs import SIDES, boxes, everything

from fastbox import InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.fragments import spread
from fastbox.storage.outputs import check_outputs


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
    assert refused.exit_code == 2 and f"{name}, which fastbox did not draw: name another" in refused.output
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
