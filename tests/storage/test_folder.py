"""Folders of files: complete or not there, and no name leads out of one."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastbox.datasets.by_image import grouped
from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.formats import crowdhuman, kitti, voc, yolo
from fastbox.datasets.listing import find
from fastbox.errors import InputError
from fastbox.storage.folders import Folder, check_name, new_file

FOLDERS = {"yolo": yolo, "voc": voc, "kitti": kitti}


def everything(root: Path) -> list[str]:
    return sorted(os.path.join(folder, name) for folder, names, files in os.walk(root) for name in [*names, *files])


def images_named(*names: str, file_names: bool = False) -> Dataset:
    kind = pa.int64() if file_names else pa.string()
    rows = [{"image_id": i if file_names else name, "file_name": name} for i, name in enumerate(names)]
    table = pa.Table.from_pylist(rows, images_schema(kind))
    return Dataset("truths", boxes_schema(kind), [], True, lambda: table, {})


parts = st.sampled_from(
    ["..", ".", "", "a", "~", "C:", "con", "\\", "a\\b", " ", "x.", "\x00", "é", "..a", "$HOME", "%2e%2e"]
)
names = st.one_of(st.text(), st.lists(parts).map("/".join), st.lists(parts).map("\\".join))


@pytest.mark.parametrize("format", FOLDERS)
@given(name=names, file_names=st.booleans())
@example("../x", True)
@example("/etc/x", False)
@example("a/../../x", True)
@example("C:/x", False)
@example("..\\x", True)
@example("a\x00b", False)
@example("a" * 300, False)
def test_no_name_leads_out_of_the_target(format: str, name: str, file_names: bool) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return  # a table can't hold it
    with tempfile.TemporaryDirectory() as outside:
        root = Path(outside, "one", "two")
        root.mkdir(parents=True)
        before = everything(Path(outside))
        try:
            FOLDERS[format].write(images_named(name, file_names=file_names), root / "out")
        except InputError as error:
            assert "\n" not in str(error)
            assert everything(Path(outside)) == before
        else:
            inside = {str(root / "out"), *everything(root / "out")}
            assert set(everything(Path(outside))) - set(before) == inside
            files = [path for path in inside if os.path.isfile(path) and path.endswith((".txt", ".xml"))]
            assert len(files) == 1
            assert not os.path.islink(files[0])


REFUSED = {
    "is empty": [""],
    "is absolute": ["/a", "//server/a"],
    "has an empty part": ["a/", "a//b"],
    "has '.'": ["./a", "a/."],
    "has '..'": ["..", "../a", "a/.."],
    "has a ':'": ["C:a", "http://a/b.jpg", "12:30.jpg"],
    r"has a '\\'": ["a\\b", "C\\a", "..\\b"],
    r"has a '\x00'": ["a\x00"],
    r"has a '\n'": ["a\n"],
    "has a '?'": ["a?"],
    "has a '*'": ["a*"],
    "has a '|'": ["a|b"],
    "has a '<'": ["<a"],
    "has a '>'": ["a>"],
    """has a '"'""": ['a"'],
    "has a part that ends in ' '": ["a ", "a /b"],
    "has a part that ends in '.'": ["a.", "b./a"],
    "has 'con', a": ["con"],
    "has 'NUL', a device's name": ["NUL.txt"],
    "has 'Com1', a device's name": ["a/Com1.jpg"],
    "is not Unicode": ["\ud800"],
}


@pytest.mark.parametrize(("reason", "name"), [(reason, name) for reason, names in REFUSED.items() for name in names])
def test_names_that_are_refused(reason: str, name: str) -> None:
    said = f"expected a file name that every system can hold, got {name!r}, which {reason}"
    with pytest.raises(InputError, match=re.escape(said) + ".*: rename it$"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["a", "a/b.c/d e.txt", ".hidden", "..a", "273271,c9db000d5146c15", "é", "console", "com10"]
)
def test_names_that_are_kept(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("format", FOLDERS)
def test_two_images_that_would_share_a_file_are_refused(format: str, tmp_path: Path) -> None:
    dataset = images_named("train/7.jpg", "train/7.png", file_names=True)
    with pytest.raises(
        InputError, match=r"expected a file of its own for every image in .*out, got .*/train/7\..* twice, .* rename"
    ):
        FOLDERS[format].write(dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_only_the_extension_of_an_image_is_cut_off(tmp_path: Path) -> None:
    names = ["scene.0001", "scene.0002", "a.b.JPEG", "v1.2/c", "d.cr2"]
    yolo.write(images_named(*names, file_names=True), tmp_path / "out")
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.txt"))
    assert files == [f"labels/{name}.txt" for name in ("a.b", "d.cr2", "scene.0001", "scene.0002", "v1.2/c")]


def test_a_file_that_another_needs_as_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file of its own"), Folder(tmp_path / "out") as folder:
        folder.write("a.txt", b"")
        folder.write("a.txt/b.txt", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FOLDERS)
def test_a_target_that_holds_something_is_left_alone(format: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InputError, match=r"expected a new or empty folder to write, got .*out, which is not empty"):
        FOLDERS[format].write(images_named("a"), tmp_path / "out")
    with pytest.raises(InputError, match=r"expected a new or empty folder to write, got .*mine, which is not a folder"):
        FOLDERS[format].write(images_named("a"), tmp_path / "out" / "mine")
    with pytest.raises(InputError, match=r"expected a folder to write .*nowhere/out in, got: No such file"):
        FOLDERS[format].write(images_named("a"), tmp_path / "nowhere" / "out")
    assert everything(tmp_path) == [str(tmp_path / "out"), str(tmp_path / "out" / "mine")]


def test_an_empty_target_is_taken_and_a_link_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    kitti.write(images_named("a"), tmp_path / "link")
    assert (tmp_path / "real" / "label_2" / "a.txt").exists()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("format", [*FOLDERS, "crowdhuman"])
def test_nothing_is_left_of_an_interrupted_write(format: str, tmp_path: Path) -> None:
    def batches() -> object:
        yield pa.RecordBatch.from_pylist([], boxes_schema(pa.string()))
        raise KeyboardInterrupt

    dataset = images_named("a")
    dataset.batches = batches()
    with pytest.raises(KeyboardInterrupt):
        (FOLDERS | {"crowdhuman": crowdhuman})[format].write(dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_is_no_folder_and_has_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which is not a file"), new_file(tmp_path):
        pass
    with (
        pytest.raises(InputError, match=r"expected a folder to write .* in, got: No such file"),
        new_file(tmp_path / "a" / "b"),
    ):
        pass


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "7.txt").touch()
    (tmp_path / "data" / "round").symlink_to("..")
    for name in ("one", "two"):
        (tmp_path / name).symlink_to("data")
    found = [name for name, _ in find(tmp_path, lambda name: name.endswith(".txt"))]
    assert found == ["data/7", "one/7", "two/7"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_names_that_are_no_utf8_are_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).touch()
    with pytest.raises(InputError, match="expected file names in UTF-8 in "):
        find(tmp_path, lambda name: True)


@given(
    owners=st.lists(st.integers(0, 6), max_size=40),
    listed=st.sets(st.integers(0, 9)),
    rows=st.integers(1, 9),
    batch=st.integers(1, 9),
)
def test_groups_are_whole_images_in_order(owners: list[int], listed: set[int], rows: int, batch: int) -> None:
    schema = boxes_schema(pa.int64(), ("place", pa.int32()), format="xywh")
    boxes = [
        {"image_id": o, "category_id": 1, "x": 1, "y": 1, "w": 1, "h": 1, "place": i} for i, o in enumerate(owners)
    ]
    images = pa.Table.from_pylist(
        [{"image_id": i, "width": i} for i in sorted(listed)[::-1]], images_schema(pa.int64())
    )
    batches = (pa.RecordBatch.from_pylist(boxes[i : i + batch], schema) for i in range(0, len(boxes), batch))
    dataset = Dataset("truths", schema, batches, False, lambda: images)
    with tempfile.TemporaryDirectory() as folder:
        found = [
            (image["image_id"], image["width"], group.rows["place"].to_pylist()[start:stop])
            for group in grouped(dataset, os.path.join(folder, "out"), rows)
            for image, start, stop in zip(group.images.to_pylist(), group.offsets[:-1], group.offsets[1:], strict=True)
        ]
        assert os.listdir(folder) == []
    assert found == [
        (image, image if image in listed else None, [i for i, owner in enumerate(owners) if owner == image])
        for image in sorted(listed | set(owners))
    ]


def test_a_null_is_named(tmp_path: Path) -> None:
    schema = boxes_schema(pa.string(), format="xywh")
    row = {"image_id": "a", "category_id": 1, "x": 1, "y": None, "w": 1, "h": 1}
    dataset = Dataset("truths", schema, [pa.RecordBatch.from_pylist([row], schema)], True, lambda: None)
    with pytest.raises(InputError, match="expected y of every box, got null for one of image 'a'"):
        list(grouped(dataset, tmp_path / "out"))
