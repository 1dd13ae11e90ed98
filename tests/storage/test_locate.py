"""Each file once, whatever its names; and nothing that the ecosystem hides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox import InputError, jobs
from fastbox.datasets.formats.parquet import read
from fastbox.datasets.scan import scan
from fastbox.storage.convention import is_hidden, is_table
from fastbox.storage.locate import find_files, like
from fastbox.storage.stores import identity, tables_in
from fastbox.tables.files import count_rows


def table(path: Path, *ids: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    more = dict.fromkeys(("category_id", "score"), [1] * len(ids))
    pq.write_table(pa.table({"image_id": list(ids), "bbox": [[0.0, 0, 1, 1]] * len(ids), **more}), path)
    return path


def names(folder: Path, found: list[str]) -> list[str]:
    return [os.path.relpath(file, folder) for file in found]


HIDDEN = ("_temporary/0/part-0.parquet", ".ipynb_checkpoints/a-checkpoint.parquet", "_metadata.parquet", ".a.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    here = tmp_path / "in"
    table(here / "a.parquet", 1, 2)
    table(here / "deep" / "b.parquet", 3)
    table(here / "day=1" / "_hour=2" / "c.PARQUET", 4)
    for hidden in HIDDEN:
        table(here / hidden, 9)
    for other in ("README.md", "_SUCCESS", "a.parquet.crc", "deep/picture.png"):
        (here / other).write_text("no table")
    return here


SHOWN = ["a.parquet", "day=1/_hour=2/c.PARQUET", "deep/b.parquet"]


def test_hidden_files_and_what_is_no_table_are_left_out_by_every_reader(folder: Path, tmp_path: Path) -> None:
    assert names(folder, find_files(folder)) == SHOWN
    assert count_rows(folder) == 4
    assert sum(len(chunk.a) for chunk in scan([folder / "a.parquet", folder / "deep"])) == 3
    assert sum(batch.num_rows for batch in read(folder).batches) == 4
    assert jobs.plan(folder / "deep").inputs[0]["boxes"] == 1
    assert jobs.sort(folder, tmp_path / "sorted.parquet")["rows"] == 4
    assert jobs.convert(folder, tmp_path / "out.json")["rows"] == 4  # type: ignore[arg-type]
    assert names(folder, tables_in(str(folder))) == ["a.parquet"]


def test_a_wildcard_matches_nothing_hidden_but_what_it_spells_out(folder: Path) -> None:
    for pattern, expected in (
        ("*.parquet", ["a.parquet"]),
        ("**/*.parquet", ["a.parquet", "deep/b.parquet"]),
        ("**", SHOWN),
        ("*", ["README.md", "a.parquet", "a.parquet.crc", "day=1/_hour=2/c.PARQUET", "deep/b.parquet"]),
        ("d*", SHOWN[1:]),
        ("d*/", SHOWN[1:]),
        ("_*/**/*.parquet", ["_temporary/0/part-0.parquet"]),
        (".a*", [".a.parquet"]),
        ("deep/[ab].parquet", ["deep/b.parquet"]),
    ):
        assert names(folder, find_files(f"{folder}/{pattern}")) == expected, pattern


def test_patterns_are_relative_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_files("*.parquet") == ["a.parquet"]
    assert find_files("**/*.parquet") == ["a.parquet", "deep/b.parquet"]
    assert find_files("../in/deep/*") == ["../in/deep/b.parquet", "../in/deep/picture.png"]


def test_links_are_followed_and_everything_is_read_once(folder: Path, tmp_path: Path) -> None:
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "deep" / "more").symlink_to(folder / "deep")
    (folder / "0.parquet").symlink_to(folder / "a.parquet")
    os.link(folder / "a.parquet", folder / "z.parquet")
    (folder / "0").symlink_to(folder / "deep")
    outside = table(tmp_path / "outside" / "d.parquet", 5)
    (folder / "linked").symlink_to(outside.parent)
    assert names(folder, find_files(folder)) == [*SHOWN, "linked/d.parquet"]
    assert names(folder, find_files(f"{folder}/**/*.parquet")) == ["a.parquet", "deep/b.parquet", "linked/d.parquet"]
    assert names(folder, find_files(f"{folder}/*/*.parquet")) == ["0/b.parquet", "linked/d.parquet"]
    assert count_rows(folder) == 5


def test_many_links_to_each_other_take_no_time(tmp_path: Path) -> None:
    for name in "abcdefgh":
        table(tmp_path / name / "t.parquet", 1)
        for other in "abcdefgh":
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    assert len(find_files(tmp_path)) == len(find_files(f"{tmp_path}/**/*.parquet")) == 8


def test_a_folder_called_as_a_table_is_a_folder(tmp_path: Path) -> None:
    table(tmp_path / "x.parquet" / "part-0.parquet", 1)
    table(tmp_path / "x.parquet" / "_temporary" / "part-0.parquet", 1)
    assert find_files(tmp_path) == find_files(f"{tmp_path}/*.parquet") == find_files(tmp_path / "x.parquet")
    assert len(find_files(tmp_path)) == 1


def test_a_file_given_twice_is_refused_with_both_names(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.parquet"
    link.symlink_to(folder / "a.parquet")
    hard = tmp_path / "hard.parquet"
    os.link(folder / "a.parquet", hard)
    pairs: list[tuple[Any, Any]] = [
        (folder / "a.parquet", str(folder / "a.parquet")),
        (folder, folder / "deep"),
        (folder / "a.parquet", link),
        (folder / "a.parquet", hard),
        (f"{folder}/*.parquet", folder),
        (folder / "a.parquet", f"file://{folder}/a.parquet"),
        (folder / "a.parquet", folder / "deep" / ".." / "a.parquet"),
    ]
    for given_ in pairs:
        with pytest.raises(InputError, match=r"expected every file once, got .* twice, from ") as caught:
            find_files(given_)
        assert all(str(part) in str(caught.value) for part in given_)


def test_what_can_not_be_read_is_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = folder / "deep" / "gone.parquet"
    broken.symlink_to(tmp_path / "nowhere.parquet")
    (folder / "deep" / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    with pytest.raises(InputError, match=r"gone\.parquet: a link that leads nowhere"):
        find_files(folder)
    broken.unlink()
    round_ = folder / "deep" / "round.parquet"
    round_.symlink_to(round_)
    with pytest.raises(InputError, match=r"round\.parquet: a link that leads nowhere"):
        find_files(folder)
    round_.unlink()
    pipe = folder / "pipe.parquet"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe\.parquet, which is not a file"):
        find_files(folder)
    with pytest.raises(InputError, match=r"pipe\.parquet, which is not a file"):
        find_files(pipe)
    pipe.unlink()
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match=r"expected a folder that can be read, got .*deep: Permission denied"):
        find_files(folder)


def test_an_empty_file_in_a_folder_is_no_table(folder: Path) -> None:
    (folder / "empty.parquet").touch()
    with pytest.raises(InputError, match=r"an empty file \(0 bytes\), .*empty\.parquet"):
        jobs.nms(folder)


@given(st.sampled_from(["a[1]", "what?", "all*", "[!a]", "**", "{x}", "a'b", 'a"b', "ü", "day=1", " "]))
def test_a_name_is_a_name_before_it_is_a_pattern(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    here = tmp_path_factory.mktemp("odd")
    path = table(here / name / f"{name}.parquet", 1, 2)
    table(here / "a1" / "a1.parquet", 1)
    table(here / "other" / "what.parquet", 1)
    assert find_files(path) == find_files(here / name) == [str(path)]
    assert count_rows(path) == count_rows(here / name) == 2


def test_uris_of_local_files_are_paths(folder: Path, tmp_path: Path) -> None:
    spaced = table(tmp_path / "my boxes.parquet", 1)
    assert find_files(f"file://{tmp_path}/my%20boxes.parquet") == [str(spaced)]
    assert find_files(f"FILE://localhost{folder}") == find_files(folder)
    assert jobs.sort(f"file://{spaced}".replace(" ", "%20"), f"file://{tmp_path}/out%20put.parquet")["rows"] == 1
    assert (tmp_path / "out put.parquet").exists()


def test_identity_is_of_what_will_be_there_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    same = {identity(name) for name in ("new.parquet", "./new.parquet", "x/../new.parquet", "link/new.parquet")}
    assert same == {identity(tmp_path / "new.parquet"), identity(f"file://{tmp_path}/new.parquet")}
    assert len(same) == 1
    assert identity("new.parquet") != identity("New.parquet")
    monkeypatch.setattr("fastbox.storage.stores._folds_case", lambda folder: True)
    assert identity("new.parquet") == identity("New.parquet")
    stored = ("s3://b/k/x.parquet", "s3://b//k/x.parquet", "s3a://b/k/x%2Eparquet?region=a", "s3://u:p@b/k/x.parquet")
    assert len({identity(uri) for uri in stored}) == 1
    assert identity("s3://b/k/x.parquet") != identity("s3://b/k/y.parquet")


def test_conventions() -> None:
    assert [is_hidden(name) for name in ("_a", ".a", "_a=1", "a", "a_")] == [True, True, False, False, False]
    assert [is_table(name) for name in ("a.parquet", "A.PARQUET", "a.parquet.crc", "parquet")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("names", "near"),
    [
        (["truths.csv", "truths.json"], "truths.json"),
        (["truths.csv", "truths.parquet", "truths.txt"], "truths.parquet"),
        (["boxes.csv"], None),
    ],
)
def test_a_missing_file_is_like_one_of_its_ending_in_any_order_of_the_folder(
    names: list[str], near: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for listed in (names, names[::-1]):
        monkeypatch.setattr(os, "listdir", lambda folder, listed=listed: listed)
        assert like("truth.parquet") == ("" if near is None else f" (did you mean {near}?)")
