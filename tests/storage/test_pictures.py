"""The file of a folder that a name or an id means, and outputs that would replace a picture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastbox import InputError
from fastbox.storage.outputs import check_outputs
from fastbox.storage.pictures import PictureFolder


def folder(root: Path, *names: str) -> PictureFolder:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return PictureFolder(root)


def test_a_picture_is_found_by_its_path_its_name_its_stem_or_its_number(tmp_path: Path) -> None:
    pictures = folder(tmp_path, "val/000000000139.jpg", "val/deep/a.b.PNG", "c.txt", ".hidden/d.jpg", "7.webp")
    expected = {
        "val/000000000139.jpg": ("val/000000000139.jpg", "000000000139.jpg", "other/000000000139.jpg", "139"),
        "val/deep/a.b.PNG": ("val/deep/a.b", "a.b", "a.b.PNG", "elsewhere\\a.b.PNG"),
        "7.webp": ("7", "7.webp", "7.jpg", "0007"),
    }
    for path, names in expected.items():
        for name in names:
            assert pictures.find(name) == str(tmp_path / path), name
    assert [pictures.find(name) for name in ("c", "c.txt", "d", "a", "8", "", None)] == [None] * 7
    assert pictures.find("nothing.jpg", "7") == str(tmp_path / "7.webp")


def test_a_name_of_several_files_means_none(tmp_path: Path) -> None:
    pictures = folder(tmp_path, "train/1.jpg", "val/1.jpg", "2.jpg", "2.png", "3.jpg", "0003.jpg")
    assert [pictures.find(name) for name in ("1", "1.jpg", "2", "003")] == [None] * 4
    named = ("train/1.jpg", "train/1", "2.png", "3", "0003")
    paths = ("train/1.jpg", "train/1.jpg", "2.png", "3.jpg", "0003.jpg")
    assert [pictures.find(name) for name in named] == [str(tmp_path / path) for path in paths]


def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.touch()
    pictures = folder(tmp_path / "in", "a.jpg")
    assert [pictures.find(name) for name in ("../secret.jpg", str(secret), "x/../../secret.jpg")] == [None] * 3


def test_the_folder_is_listed_once_and_only_if_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = folder(tmp_path, "a.jpg", "b/c.jpg")
    (tmp_path / "b" / "circle").symlink_to(tmp_path, target_is_directory=True)
    walk, walks = os.walk, []
    monkeypatch.setattr(os, "walk", lambda *given, **more: walks.append(given) or walk(*given, **more))
    assert pictures.find("a.jpg") and walks == []
    assert pictures.find("c") and pictures.find("a") and pictures.find("d") is None and len(walks) == 1


def test_only_a_local_folder_has_pictures(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.touch()
    for path in (file, tmp_path / "none", "s3://bucket/pictures"):
        with pytest.raises(InputError, match=r"expected a local folder of pictures, got .*: name another"):
            PictureFolder(path)


def test_outputs_may_lie_among_pictures_but_replace_none(tmp_path: Path) -> None:
    folder(tmp_path, "in/a.png")
    for free in ("page.html", "out.parquet", "new.png", "in/page.html", "in/new.png"):
        check_outputs([], {}, {"output": tmp_path / free}, pictures=tmp_path)
    for taken in (tmp_path, f"{tmp_path}/", tmp_path / "in" / "a.png", tmp_path / "in" / ".." / "in" / "a.png"):
        with pytest.raises(InputError, match=r"would replace pictures in .*: choose another folder"):
            check_outputs([], {}, {"output": taken}, pictures=tmp_path)
