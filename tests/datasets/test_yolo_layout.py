"""Layouts of YOLO: what the usual programs export is read at its root, every label once, and all else is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastbox.datasets.convert import convert
from fastbox.datasets.dataset import Dataset
from fastbox.datasets.formats.yolo import read
from fastbox.datasets.recognize import format_of
from fastbox.errors import InputError, InputWarning

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("yaml")

L = "0 0.5 0.5 0.25 0.5\n"
Y = "names: [cat, dog]"
C = "cat\ndog\n"
I = (64, 32)  # noqa: E741  # an image of this size

ROBOFLOW = {
    "README.roboflow.txt": "my dataset - v1\n=====\n\nThis dataset was exported\n",
    "README.dataset.txt": "# cats\n",
    "data.yaml": "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['cat', 'dog']\n",
    "train/images/a.rf.0c1.jpg": I,
    "train/labels/a.rf.0c1.txt": L,
    "valid/images/a.jpg": I,
    "valid/labels/a.txt": L,
    "test/images/b.jpg": I,
    "test/labels/b.txt": "",
}
CVAT = {
    "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n",
    "obj.names": C,
    "train.txt": "data/obj_train_data/a.jpg\ndata/obj_train_data/b c.PNG\n",
    "obj_train_data/a.txt": L,
    "obj_train_data/a.jpg": I,
    "obj_train_data/b c.txt": "",
    "obj_train_data/b c.PNG": I,
}
ULTRALYTICS = {
    "data.yaml": "path: .\ntrain: train.txt\nval: images/val\nnames:\n  0: cat\n  1: dog\n",
    "train.txt": "./images/train/a.jpg\n",
    "labels/train/a.txt": L,
    "images/train/a.jpg": I,
    "labels/val/b.txt": L,
    "images/val/b.jpg": I,
    "labels/train.cache": b"\x93NUMPY",
}
EXPORTS: dict[str, tuple[dict[str, Any], str, dict[str, int], list[str | None]]] = {
    "Roboflow": (
        ROBOFLOW,
        "",
        {"test/b": 0, "train/a.rf.0c1": 1, "valid/a": 1},
        ["test/images/b.jpg", "train/images/a.rf.0c1.jpg", "valid/images/a.jpg"],
    ),
    "Roboflow, a split": (ROBOFLOW, "train", {"a.rf.0c1": 1}, ["a.rf.0c1.jpg"]),
    "Roboflow, its YAML": (
        ROBOFLOW,
        "data.yaml",
        {"test/b": 0, "train/a.rf.0c1": 1, "valid/a": 1},
        ["test/images/b.jpg", "train/images/a.rf.0c1.jpg", "valid/images/a.jpg"],
    ),
    "Roboflow's Darknet": (
        {"train/_darknet.labels": C, "train/a.txt": L, "train/a.jpg": I, "README.roboflow.txt": "x"},
        "",
        {"train/a": 1},
        ["train/a.jpg"],
    ),
    "CVAT": (
        CVAT,
        "",
        {"obj_train_data/a": 1, "obj_train_data/b c": 0},
        ["obj_train_data/a.jpg", "obj_train_data/b c.PNG"],
    ),
    "CVAT, its labels": (CVAT, "obj_train_data", {"a": 1, "b c": 0}, ["a.jpg", "b c.PNG"]),
    "other names": (
        {"coco.names": C, "x.data": "names=data/coco.names", "a.txt": L, "a.jpg": I},
        "",
        {"a": 1},
        ["a.jpg"],
    ),
    "Ultralytics": (ULTRALYTICS, "", {"train/a": 1, "val/b": 1}, ["train/a.jpg", "val/b.jpg"]),
    "Ultralytics, its YAML": (
        ULTRALYTICS,
        "data.yaml",
        {"train/a": 1, "val/b": 1},
        ["images/train/a.jpg", "images/val/b.jpg"],
    ),
    "YAML elsewhere": (
        {
            "conf/data.yaml": "path: ../set\ntrain: [images/one, images/two]\nnames: [cat, dog]\n",
            "set/images/one/a.jpg": I,
            "set/labels/one/a.txt": L,
            "set/images/two/a.jpg": I,
        },
        "conf",
        {"one/a": 1, "two/a": 0},
        ["images/one/a.jpg", "images/two/a.jpg"],
    ),
    "a path that moved": (
        {"data.yaml": "path: /nowhere/set\ntrain: images\nnames: [cat, dog]", "images/a.jpg": I, "labels/a.txt": L},
        "data.yaml",
        {"a": 1},
        ["images/a.jpg"],
    ),
    "Label Studio": (
        {"classes.txt": C, "notes.json": "{}", "labels/a.txt": L, "images/a.jpg": I},
        "",
        {"a": 1},
        ["a.jpg"],
    ),
    "labelImg": ({"classes.txt": C, "a.txt": L, "a.jpg": I}, "", {"a": 1}, ["a.jpg"]),
    "images among labels": (
        {"data.yaml": Y, "labels/train/a.txt": L, "labels/train/a.jpg": I, "labels/train/b.jpg": I},
        "",
        {"train/a": 1, "train/b": 0},
        ["train/a.jpg", "train/b.jpg"],
    ),
    "deep below": (
        {"data.yaml": Y, "x/labels/y/a.txt": L, "x/labels/y/a.jpg": I, "x/labels/y/b.jpg": I},
        "",
        {"x/y/a": 1, "x/y/b": 0},
        ["x/labels/y/a.jpg", "x/labels/y/b.jpg"],
    ),
    "predictions": (
        {"labels/a.txt": L, "a.jpg": I, "b.jpg": I, "classes.txt": C},
        "",
        {"a": 1, "b": 0},
        ["a.jpg", "b.jpg"],
    ),
    "a YAML file of another name": (
        {"coco8.yaml": "train: images\nnames: [cat, dog]", "args.yaml": "lr: 1", "labels/a.txt": L, "images/a.jpg": I},
        "",
        {"a": 1},
        ["a.jpg"],
    ),
    "voc.names": ({"voc.names": C, "a.txt": L, "a.jpg": I}, "", {"a": 1}, ["a.jpg"]),
    "CVAT, for Ultralytics": (
        {
            "data.yaml": "path: .\ntrain: train.txt\nnames:\n  0: cat\n  1: dog\n",
            "train.txt": "data/images/train/a.jpg\n",
            "labels/train/a.txt": L,
            "images/train/a.jpg": I,
        },
        "data.yaml",
        {"train/a": 1},
        ["images/train/a.jpg"],
    ),
    "paths of Colab": (
        {"data.yaml": f"train: /content/set-1/train/images\n{Y}", "train/labels/a.txt": L, "train/images/a.jpg": I},
        "data.yaml",
        {"train/a": 1},
        ["train/images/a.jpg"],
    ),
    "paths of Windows": (
        {
            "data.yaml": f"path: C:\\set\ntrain: .\\train.txt\nval: C:\\set\\images\\val\n{Y}",
            "train.txt": ".\\images\\a.jpg\r\n",
            "labels/a.txt": L,
            "images/a.jpg": I,
            "labels/val/b.txt": L,
            "images/val/b.jpg": I,
        },
        "data.yaml",
        {"a": 1, "val/b": 1},
        ["images/a.jpg", "images/val/b.jpg"],
    ),
    "from a Mac": (
        {
            "data.yaml": Y,
            "labels/a.txt": L,
            "labels/._a.txt": b"\0\5\x16\7",
            "images/a.jpg": I,
            "images/._a.jpg": b"\0\5",
            "labels/.DS_Store": b"\0",
            ".ipynb_checkpoints/a.txt": "x",
        },
        "",
        {"a": 1},
        ["a.jpg"],
    ),
    "from Windows": (
        {
            "classes.txt": b"\xef\xbb\xbfcat\r\ndog\r\n",
            "labels/a.TXT": b"\xef\xbb\xbf0\t0.5 0.5  0.25 0.5 \r\n\r\n",
            "images/a.JPG": I,
        },
        "",
        {"a": 1},
        ["a.JPG"],
    ),
}


def put(folder: Path, files: dict[str, Any]) -> Path:
    for name, what in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, tuple):
            Image.new("L", what).save(path, "PNG")
        else:
            path.write_bytes(what.encode() if isinstance(what, str) else what)
    return folder


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    return [row for batch in dataset.batches for row in batch.to_pylist()]


@pytest.mark.parametrize(("files", "source", "boxes", "names"), EXPORTS.values(), ids=EXPORTS.keys())
def test_exports(files: dict[str, Any], source: str, boxes: dict[str, int], names: list[str], tmp_path: Path) -> None:
    path = put(tmp_path, files) / source
    assert format_of(path) == "yolo"
    dataset = read(path)
    rows = rows_of(dataset)
    images = dataset.images()
    assert images["image_id"].to_pylist() == list(boxes)
    assert images["file_name"].to_pylist() == names
    assert [row["image_id"] for row in rows] == [image for image, count in boxes.items() for _ in range(count)]
    assert {(row["category_id"], row["cx"], row["cy"], row["w"], row["h"]) for row in rows} == {(0, 32, 16, 16, 16)}
    assert dataset.categories == {0: "cat", 1: "dog"}


def test_a_label_without_its_image_is_left_out_with_a_warning(tmp_path: Path) -> None:
    put(
        tmp_path / "set",
        {"labels/a.txt": L, "labels/b.txt": L + L, "labels/c.txt": "", "images/a.jpg": I, "images/d.jpg": I},
    )
    with pytest.warns(
        InputWarning, match=r"left out of .*labels: 2 boxes in 1 label file without a size \(.*b.txt\): add"
    ):
        summary = convert(tmp_path / "set", tmp_path / "out.parquet")
    counts = {"rows": 1, "images": 3, "categories": 1, "images_without_boxes": 2, "images_left_out": 2}
    assert summary == {"kind": "truths", **counts}


def test_a_list_of_images_among_labels_is_left_out_with_a_warning(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": L, "a.jpg": I, "train.txt": "a.jpg\ndata/b.PNG\n"})
    with pytest.warns(InputWarning, match=r"train.txt lists images and is not a label: left out"):
        assert len(rows_of(dataset := read(tmp_path))) == 1
    assert dataset.images()["image_id"].to_pylist() == ["a"]


@pytest.mark.parametrize("text", ["seen by two people", "cat\ndog\n", "0.5 x\n"])
def test_a_text_of_no_image_is_left_out_with_a_warning(text: str, tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": L, "a.jpg": I, "notes.txt": text})
    with pytest.warns(InputWarning, match=r"notes.txt is not a label, and no image has its name: left out"):
        assert len(rows_of(dataset := read(tmp_path))) == 1
    assert dataset.images()["image_id"].to_pylist() == ["a"]


def test_a_damaged_image_is_left_out_with_a_warning(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": L, "a.jpg": I, "b.txt": L + L, "b.jpg": "<html>", "c.jpg": "<html>"})
    said = r"2 boxes in 1 label file without a size \(.*b.txt\): copy .*b.jpg again, which is not an image, add the"
    with pytest.warns(InputWarning, match=said):
        assert len(rows_of(dataset := read(tmp_path))) == 1
    assert dataset.images()["width"].to_pylist() == [64, None]


def test_images_of_a_list_that_are_not_there_are_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"data.yaml": "train: t.txt", "t.txt": "images/a.jpg\nb.jpg\nc.jpg", "labels/a.txt": L, "images/a.jpg": I},
    )
    with pytest.warns(InputWarning, match=r"t.txt lists 2 image\(s\) that are not there, such as 'b.jpg': left out"):
        dataset = read(tmp_path / "data.yaml")
    assert len(rows_of(dataset)) == 1


def test_of_several_yaml_files_none_is_taken_for_the_names(tmp_path: Path) -> None:
    put(tmp_path, {"labels/a.txt": L, "images/a.jpg": I, "a.yaml": "names: [a]", "b.yaml": "names: [b]"})
    assert read(tmp_path).categories == {}


def test_an_image_may_be_called_readme(tmp_path: Path) -> None:
    files = {"labels/README.txt": L, "labels/license.txt": "", "labels/classes.txt": "cat", "labels/x/classes.txt": L}
    put(tmp_path, files | {"sizes.csv": "image_id,width,height\nREADME,64,32\nx/classes,64,32\n"})
    dataset = read(tmp_path)
    assert [row["image_id"] for row in rows_of(dataset)] == ["README", "x/classes"]
    assert dataset.images()["image_id"].to_pylist() == ["README", "license", "x/classes"]
    assert dataset.categories == {0: "cat"}


def test_a_split_that_is_not_there_is_left_out_with_a_warning(tmp_path: Path) -> None:
    put(
        tmp_path,
        {"data.yaml": "train: images/train\ntest: images/test", "labels/train/a.txt": L, "images/train/a.jpg": I},
    )
    with pytest.warns(InputWarning, match=r"test of .*data.yaml, images/test, does not exist: left out"):
        assert len(rows_of(read(tmp_path / "data.yaml"))) == 1


REFUSED = {
    "no label": (
        {"labels/a.txt": L, "labels/notes.txt": "seen by two people", "images/a.jpg": I, "images/notes.jpg": I},
        "",
        r"notes.txt, line 1, got 4: .*: fix the line, or move the file away if it holds no labels",
    ),
    "UTF-16": (
        {"labels/a.txt": L.encode("utf-16"), "images/a.jpg": I},
        "",
        "expected UTF-8 in .*a.txt, got UTF-16: save it",
    ),
    "twice": (
        {"s/x/labels/a.txt": L, "s/labels/x/a.txt": L},
        "",
        "s/labels/x/a.txt and s/x/labels/a.txt in .* are both of image 's/x/a': convert them one by one",
    ),
    "a path that is a list": (
        {"data.yaml": "path: [a]\ntrain: b"},
        "data.yaml",
        "expected one folder for path in .*data.yaml",
    ),
    "train a number": (
        {"data.yaml": "train: {a: b}"},
        "data.yaml",
        "expected a folder, a file or a list of them for train in",
    ),
    "nothing": (
        {"data.yaml": "names: [a]"},
        "data.yaml",
        r"expected YOLO labels, \*.txt, in .*data.yaml, got none: name",
    ),
}


@pytest.mark.parametrize(("files", "source", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(files: dict[str, Any], source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        rows_of(read(put(tmp_path, files) / source))
    assert "\n" not in str(caught.value)


def test_blank_lines_around_names_number_nothing(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": L, "a.jpg": I, "classes.txt": "\r\n\ncat\n\ndog\n\n"})
    assert read(tmp_path).categories == {0: "cat", 1: "", 2: "dog"}
