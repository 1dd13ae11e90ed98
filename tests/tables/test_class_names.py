"""Classes of two tables that number them differently are joined by name, in every job where they meet, or refused."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.datasets.convert import convert
from fastbox.fragments import spread
from fastbox.tables import class_names
from fastbox.tables.class_names import joined_classes
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink

NAMES = ("person", "car", "dog", "cat")


def write(path: Path, names: dict[int, str] | None, rows: list[tuple[int, int, list[float]]], **more: Any) -> Path:
    """A table of (image, class, box), whose record has these names."""
    ids, kinds, boxes = zip(*rows, strict=True)
    table = pa.table({"image_id": ids, "category_id": kinds, "bbox": [list(map(float, box)) for box in boxes], **more})
    with Sink(path, table.schema, command="test", parameters={}) as sink:
        sink.write(table)
        if names is not None:
            sink.record(categories={str(number): name for number, name in names.items()})
    return path


def scene(seed: int) -> list[tuple[int, str, list[float]]]:
    random = np.random.default_rng(seed)
    corner = random.integers(0, 200, (60, 2))
    return [
        (k // 6, NAMES[random.integers(0, 4)], [x, y, x + 20 + k, y + 30]) for k, (x, y) in enumerate(corner.tolist())
    ]


def numbered(names: dict[int, str], rows: list[tuple[int, str, list[float]]]) -> list[tuple[int, int, list[float]]]:
    places = {name: number for number, name in names.items()}
    return [(image, places[name], box) for image, name, box in rows]


def given_names(order: tuple[int, ...], first: int = 0) -> dict[int, str]:
    return {first + k: NAMES[place] for k, place in enumerate(order)}


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 3, 0)])
@pytest.mark.parametrize("first", [0, 1, 100])
def test_evaluate_joins_by_name(tmp_path: Path, order: tuple[int, ...], first: int) -> None:
    rows = scene(0)
    truths = write(tmp_path / "gt.parquet", given_names((0, 1, 2, 3)), numbered(given_names((0, 1, 2, 3)), rows))
    names = given_names(order, first)
    scores = np.linspace(1, 0.1, len(rows))
    detections = write(tmp_path / "dt.parquet", names, numbered(names, rows), score=scores)
    found = jobs.evaluate(detections, truths).to_dict()
    assert found["stats"]["AP"] == pytest.approx(1.0)
    assert {row["class"]: row["name"] for row in found["by_class"]} == dict(enumerate(NAMES))
    parts = spread(jobs.evaluate, detections, truths, fragment_rows=10).to_dict()
    assert parts["stats"] == found["stats"] and parts["by_class"] == found["by_class"]


def test_a_class_that_the_other_table_lacks_is_no_other_class(tmp_path: Path) -> None:
    truths = write(tmp_path / "gt.parquet", {0: "car", 1: "dog"}, [(1, 0, [0, 0, 9, 9]), (1, 1, [20, 0, 29, 9])])
    rows = [(1, 0, [20, 0, 29, 9]), (1, 1, [0, 0, 9, 9]), (1, 2, [0, 0, 9, 9])]
    names = {0: "dog", 1: "zebra", 2: "car"}
    detections = write(tmp_path / "dt.parquet", names, rows, score=[0.9, 0.8, 0.7])
    found = jobs.evaluate(detections, truths).to_dict()
    assert found["stats"]["AP"] == pytest.approx(1.0)
    assert [(row["name"], row["truths"]) for row in found["by_class"]] == [("car", 1), ("dog", 1), ("zebra", 0)]


def test_tables_of_our_own_convert(tmp_path: Path) -> None:
    """Two data sets of labels by name, which convert numbers as they come."""
    lists: dict[str, list[tuple[int, str, list[float]]]] = {"a": scene(1), "b": scene(1)}
    for name, rows in lists.items():
        order = sorted(NAMES, reverse=name == "b")
        categories = [{"id": k, "name": text} for k, text in enumerate(order)]
        annotations = [
            {
                "id": k + 1,
                "image_id": image,
                "category_id": order.index(text),
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            }
            for k, (image, text, box) in enumerate(rows)
        ]
        images = [{"id": k} for k in range(10)]
        source = {"images": images, "categories": categories, "annotations": annotations}
        (tmp_path / f"{name}.json").write_text(json.dumps(source))
        convert(tmp_path / f"{name}.json", tmp_path / f"{name}.parquet", out_box_format="xyxy")
    table = pq.read_table(tmp_path / "b.parquet")
    table = table.append_column("score", pa.array(np.linspace(1, 0.1, len(table))))
    with Sink(tmp_path / "dt.parquet", table.schema, command="test", parameters={}) as sink:
        sink.write(table)
        sink.record(categories=read_record(tmp_path / "b.parquet")["categories"])
    for truths in ("a.json", "a.parquet"):
        found = jobs.evaluate(tmp_path / "dt.parquet", tmp_path / truths)
        assert found.stats[None]["AP"] == pytest.approx(1.0)
    found_pairs = jobs.pairs(tmp_path / "a.parquet", tmp_path / "b.parquet", class_agnostic=False, threshold=0.99)
    assert found_pairs.unmatched == 0


def test_pairs_and_fuse_join_by_name(tmp_path: Path) -> None:
    rows = scene(2)
    first, second = given_names((0, 1, 2, 3)), given_names((2, 0, 3, 1), 5)
    scores = np.linspace(1, 0.1, len(rows))
    a = write(tmp_path / "a.parquet", first, numbered(first, rows), score=scores)
    b = write(tmp_path / "b.parquet", second, numbered(second, rows), score=scores)
    same = write(tmp_path / "same.parquet", first, numbered(first, rows), score=scores)
    by_name, plain = (jobs.pairs(a, other, class_agnostic=False).to_dict() for other in (b, same))
    assert by_name == plain
    for name, other in (("named", b), ("plain", same)):
        jobs.fuse([a, other], tmp_path / f"{name}.parquet")
    fused, expected = (pq.read_table(tmp_path / f"{name}.parquet").to_pydict() for name in ("named", "plain"))
    assert fused == expected
    # What is fused has names again: it joins with either table.
    assert jobs.evaluate(tmp_path / "named.parquet", b).stats[None]["AP"] == pytest.approx(1.0)


def test_what_nms_keeps_has_its_names(tmp_path: Path) -> None:
    rows = scene(3)
    first, second = given_names((0, 1, 2, 3)), given_names((3, 1, 0, 2))
    truths = write(tmp_path / "gt.parquet", first, numbered(first, rows))
    scores = np.linspace(1, 0.1, len(rows))
    boxes = write(tmp_path / "dt.parquet", second, numbered(second, rows), score=scores)
    jobs.nms(boxes, tmp_path / "kept.parquet", iou_threshold=1.0)
    assert jobs.evaluate(tmp_path / "kept.parquet", truths).stats[None]["AP"] == pytest.approx(1.0)


def test_names_that_contradict_are_refused(tmp_path: Path) -> None:
    rows = [(1, 0, [0, 0, 9, 9])]
    truths = write(tmp_path / "gt.parquet", {0: "car", 1: "dog"}, rows)
    other = write(tmp_path / "dt.parquet", {0: "Auto", 1: "Hund"}, rows, score=[0.9])
    with pytest.raises(
        InputError, match=r"expected the same names .*0 'Auto', 1 'Hund' in .*dt.*0 'car', 1 'dog' in .*gt"
    ):
        jobs.evaluate(other, truths)
    twice = write(tmp_path / "twice.parquet", {0: "dog", 1: "dog", 2: "car"}, rows, score=[0.9])
    with pytest.raises(InputError, match=r"expected a name of its own for each class.*'dog' for 0 and 1 in .*twice"):
        jobs.evaluate(twice, truths)
    with pytest.raises(InputError, match="'dog' for 0 and 1"):
        jobs.fuse([other, twice])
    more = write(tmp_path / "gt2.parquet", {0: "dog", 1: "car"}, [(2, 0, [0, 0, 9, 9])])
    with pytest.raises(InputError, match="expected one name of class 0 in all files"):
        jobs.pairs([truths, more], truths, class_agnostic=False)


@pytest.mark.parametrize("names", [None, {}, {0: "0", 1: "1"}])
def test_without_names_on_one_side_numbers_join(tmp_path: Path, names: dict[int, str] | None) -> None:
    rows = [(1, 1, [0, 0, 9, 9])]
    truths = write(tmp_path / "gt.parquet", {0: "car", 1: "dog"}, rows)
    detections = write(tmp_path / "dt.parquet", names, rows, score=[0.9])
    found = jobs.evaluate(detections, truths).to_dict()
    assert found["stats"]["AP"] == pytest.approx(1.0)
    assert [row["name"] for row in found["by_class"]] == ["dog"]


labels = st.dictionaries(st.integers(0, 9), st.sampled_from("abcdefgh"), max_size=8)


@given(own=labels, other=labels)
def test_numbers_meet_where_names_do(own: dict[int, str], other: dict[int, str]) -> None:
    names = {"own": own, "other": other}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_names, "read_names", lambda path: {str(k): name for k, name in names[path].items()})
        try:
            joined = joined_classes([["own"], ["other"]], "integer", first=1)
        except InputError:
            repeated = any(len(set(one.values())) < len(one) for one in names.values())
            assert repeated or not set(own.values()) & set(other.values())
            return
    change, same = (table or (lambda label: label) for table in joined.tables)
    assert all(same(number) == number for number in range(12))
    for number, name in own.items():
        for there, its in other.items():
            assert (
                (change(number) == there) == (name == its)
                or len(set(other.values())) < len(other)
                or len(set(own.values())) < len(own)
            )
        assert joined.names[str(change(number))] == name
    for unnamed in set(range(12)) - own.keys():
        if joined.tables[0] is not None:
            assert change(unnamed) not in other


@given(st.lists(labels, min_size=2, max_size=4))
def test_any_number_of_tables_meet_by_name(tables: list[dict[int, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_names, "read_names", lambda path: {str(k): name for k, name in tables[int(path)].items()})
        try:
            joined = joined_classes([[str(k)] for k in range(len(tables))], "integer")
        except InputError:
            return
    changed = [change or (lambda label: label) for change in joined.tables]
    unique = all(len(set(one.values())) == len(one) for one in tables)
    for own, change in zip(tables, changed, strict=True):
        for other, its in zip(tables, changed, strict=True):
            for (number, name), (there, called) in itertools.product(own.items(), other.items()):
                assert not unique or (change(number) == its(there)) == (name == called)
    for own, change in zip(tables, changed, strict=True):
        assert all(joined.names[str(change(number))] == name for number, name in own.items())


def test_new_names_of_two_tables_are_two_classes(tmp_path: Path) -> None:
    box = [20, 0, 29, 9]
    first = write(tmp_path / "a.parquet", {0: "car", 1: "dog"}, [(1, 0, [0, 0, 9, 9])], score=[0.9])
    second = write(tmp_path / "b.parquet", {0: "dog", 1: "zebra", 2: "car"}, [(1, 1, box)], score=[0.8])
    third = write(tmp_path / "c.parquet", {0: "dog", 1: "lion", 2: "car"}, [(1, 1, box)], score=[0.7])
    again = write(tmp_path / "d.parquet", {0: "dog", 2: "zebra", 1: "car"}, [(1, 2, box)], score=[0.7])
    for tables, names in (
        ([first, second, third], ["car", "lion", "zebra"]),
        ([first, second, again], ["car", "zebra"]),
    ):
        jobs.fuse(tables, tmp_path / "fused.parquet")
        called = read_record(tmp_path / "fused.parquet")["categories"]
        kinds = pq.read_table(tmp_path / "fused.parquet")["category_id"].to_pylist()
        assert sorted(called[str(kind)] for kind in kinds) == names


def test_a_class_without_a_name_that_could_be_any_is_refused(tmp_path: Path) -> None:
    truths = write(tmp_path / "gt.parquet", {0: "car", 1: "dog"}, [(1, 10_001, [0, 0, 9, 9])])
    names = {0: "dog", 1: "zebra", 2: "car"}
    detections = write(tmp_path / "dt.parquet", names, [(1, 1, [0, 0, 9, 9])], score=[0.9])
    for call in (
        lambda: jobs.evaluate(detections, truths),
        lambda: jobs.pairs(truths, detections, class_agnostic=False),
    ):
        with pytest.raises(InputError, match=r"a name for every class.*got class 10001 in .*gt.parquet without one"):
            call()


def test_names_of_only_one_table_are_listed(tmp_path: Path) -> None:
    rows = [(1, 0, [0, 0, 9, 9]), (1, 1, [20, 0, 29, 9])]
    truths = write(tmp_path / "gt.parquet", {0: "car", 1: "dog"}, rows)
    detections = write(tmp_path / "dt.parquet", {0: "Car", 1: "dog"}, rows, score=[0.9, 0.8])
    said = jobs.evaluate(detections, truths).to_dict()["warnings"]
    assert any("dt.parquet has classes with the names 'Car': rename them if the other table" in one for one in said)
    assert any("gt.parquet has classes with the names 'car': rename them if the other table" in one for one in said)


def test_names_beside_numbers_with_names_are_told_how_to_meet(tmp_path: Path) -> None:
    annotations = [{"id": k, "image_id": k, "category_id": k, "bbox": [1, 2, 30, 40]} for k in (1, 2)]
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    truths, detections = tmp_path / "gt.json", tmp_path / "dt.csv"
    listed = {"images": [{"id": 1}, {"id": 2}], "annotations": annotations}
    truths.write_text(json.dumps(listed | {"categories": categories}))
    detections.write_text("image_id,class,score,x,y,w,h\n1,dog,.9,1,2,30,40\n2,cat,.8,1,2,30,40\n")
    with pytest.raises(InputError, match=r"classes of one kind .* strings in .*dt.csv and integers in") as caught:
        jobs.evaluate(detections, truths)
    command = shlex.split(str(caught.value).split("`")[1])
    assert CliRunner().invoke(main, [*command[1:3], str(tmp_path / command[3])]).exit_code == 0
    assert jobs.evaluate(tmp_path / command[3], truths).to_dict()["stats"]["AP"] == pytest.approx(1)
    truths.write_text(json.dumps(listed))
    with pytest.raises(InputError, match=r"integers in .*gt.json: cast one$"):
        jobs.evaluate(detections, truths)
