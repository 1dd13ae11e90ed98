"""Pascal VOC: what the XML says is what the table holds, nothing it declares is followed, and it comes back."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.formats.voc import CORNERS, FLAGS, read, write
from fastbox.datasets.recognize import format_of
from fastbox.errors import InputError

pytest.importorskip("defusedxml")

VOC = """<annotation>
	<folder>VOC2007</folder>
	<filename>000001.jpg</filename>
	<size><width>353</width><height>500</height><depth>3</depth></size>
	<segmented>0</segmented>
	<object>
		<name>dog</name>
		<pose>Left</pose>
		<truncated>1</truncated>
		<difficult>0</difficult>
		<bndbox><xmin>48</xmin><ymin>240</ymin><xmax>195</xmax><ymax>371</ymax></bndbox>
	</object>
	<object>
		<bndbox><ymax>498.5</ymax><xmax>352</xmax><ymin>12</ymin><xmin>8.25</xmin></bndbox>
		<name> person </name>
		<truncated>Unspecified</truncated>
		<part><name>head</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></part>
	</object>
</annotation>
"""
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
SCHEMA = boxes_schema(pa.string(), ("pose", pa.string()), *FLAGS.items())

Rows = list[dict[str, Any]]


def annotations(folder: Path, **texts: str | bytes) -> Path:
    (folder / "Annotations").mkdir()
    for name, text in texts.items():
        (folder / "Annotations" / f"{name}.xml").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def rows_of(dataset: Dataset) -> Rows:
    return [row for batch in dataset.batches for row in batch.to_pylist()]


def exact(rows: Rows) -> list[dict[str, str]]:
    return [{name: repr(value) for name, value in row.items()} for row in rows]


def box(*corners: float) -> dict[str, float]:
    return dict(zip(CORNERS, corners, strict=True))


def test_objects_are_rows(tmp_path: Path) -> None:
    dataset = read(annotations(tmp_path, b=VOC, a="<annotation/>"))
    assert rows_of(dataset) == [
        {"image_id": "b", "category_id": 0, **box(48, 240, 195, 371), "pose": "Left", "truncated": 1, "difficult": 0,
         "occluded": None},
        {"image_id": "b", "category_id": 1, **box(8.25, 12, 352, 498.5), "pose": None, "truncated": None,
         "difficult": None, "occluded": None},
    ]  # fmt: skip
    assert (dataset.kind, dataset.ordered, dataset.categories) == ("truths", True, {0: "dog", 1: "person"})
    assert dataset.images().to_pylist() == [
        {"image_id": "a", "width": None, "height": None, "file_name": None},
        {"image_id": "b", "width": 353, "height": 500, "file_name": "000001.jpg"},
    ]


def test_pixels_counted_from_one_cover_the_image(tmp_path: Path) -> None:
    whole = VOC.replace("<xmin>48<", "<xmin>1<").replace("<ymin>240<", "<ymin>1<")
    source = annotations(tmp_path, a=whole.replace("<xmax>195<", "<xmax>353<").replace("<ymax>371<", "<ymax>500<"))
    row = rows_of(read(source, one_based=True))[0]
    assert {name: row[name] for name in CORNERS} == box(0, 0, 353, 500)
    write(read(source, one_based=True), tmp_path / "out", one_based=True)
    text = (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert "<xmin>1</xmin>" in text and "<ymin>1</ymin>" in text and "<xmax>353</xmax>" in text


def test_names_fix_the_numbers(tmp_path: Path) -> None:
    source = annotations(tmp_path, a=VOC)
    (tmp_path / "names.txt").write_text("aeroplane\nperson\ndog\n")
    for names in (["aeroplane", "person", "dog"], {1: "person", 2: "dog"}, tmp_path / "names.txt"):
        assert [row["category_id"] for row in rows_of(read(source, names=names))] == [2, 1]
    with pytest.raises(InputError, match=r"expected one of the names given, dog, in .*a\.xml, got 'person'"):
        rows_of(read(source, names=["dog"]))
    with pytest.raises(
        InputError, match=r"a.xml has 'dog', which is the name of categories 0 and 2: give each its own"
    ):
        rows_of(read(source, names=["dog", "person", "dog"]))
    with pytest.raises(InputError, match=r"absent can't be read \(No such file or directory\): name an existing file"):
        read(source, names=tmp_path / "absent")


@pytest.mark.parametrize(
    ("written", "flags"),
    [
        ("<truncated>0.06</truncated>", {"truncated": 0.06}),
        ("<truncated>Unspecified</truncated><difficult>Unspecified</difficult>", {}),
        ("<truncated/><difficult> </difficult><occluded>unspecified</occluded>", {}),
        ("<truncated>true</truncated><difficult>False</difficult><occluded>1.0</occluded>",
         {"truncated": 1, "difficult": 0, "occluded": 1}),
    ],
)  # fmt: skip
def test_flags_in_the_ways_of_their_writers(written: str, flags: dict[str, Any], tmp_path: Path) -> None:
    source = annotations(tmp_path, a=f"<annotation><object><name>a</name>{written}{BOX}</object></annotation>")
    (row,) = rows_of(read(source))
    assert {name: row[name] for name in FLAGS} == dict.fromkeys(FLAGS) | flags
    write(read(source), tmp_path / "out")
    assert rows_of(read(tmp_path / "out")) == [row]


ONE = f"<annotation><object><name>猫</name>{BOX}</object></annotation>"
TEXTS = {
    "plain": ONE.encode(),
    "a mark": b"\xef\xbb\xbf" + ONE.encode(),
    "utf-16": ONE.encode("utf-16"),
    "declared": b'<?xml version="1.0" encoding="utf-8" standalone="yes"?>' + ONE.encode(),
    "gbk": b'<?xml version="1.0" encoding="GBK"?>\n' + ONE.encode("gbk"),
    "a namespace": ONE.replace("<annotation>", '<annotation xmlns="urn:voc" verified="yes">').encode(),
    "a prefix": ONE.replace("<", "<v:")
    .replace("<v:/", "</v:")
    .replace("<v:annotation>", '<v:annotation xmlns:v="u">')
    .encode(),
    "a comment": b"<!-- by hand --><!DOCTYPE annotation>" + ONE.encode(),
}


@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS.keys())
def test_texts_in_the_ways_of_their_writers(data: bytes, tmp_path: Path) -> None:
    dataset = read(annotations(tmp_path, a=data))
    assert [(row["image_id"], row["xmax"]) for row in rows_of(dataset)] == [("a", 3.0)]
    assert dataset.categories == {0: "猫"}


def test_files_in_the_ways_of_their_writers(tmp_path: Path) -> None:
    for name in ("VOC2007/Annotations/1.XML", "VOC2012/Annotations/1.xml", "VOC2012/Annotations/._1.xml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(ONE if "._" not in name else "")
    (tmp_path / "README.txt").write_text("0 is a number")
    (tmp_path / "VOC2007" / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "VOC2007" / "ImageSets" / "Main" / "train.txt").write_text("000001\n")
    assert format_of(tmp_path) == "voc"
    dataset = read(tmp_path)
    assert [row["image_id"] for row in rows_of(dataset)] == ["VOC2007/1", "VOC2012/1"]
    small = tmp_path / "small" / "annotations" / "2.xml"  # beside images/, as many sets have it
    small.parent.mkdir(parents=True)
    small.write_text(ONE)
    assert [row["image_id"] for row in rows_of(read(tmp_path / "small"))] == ["2"]
    small.unlink()
    (tmp_path / "VOC2007" / "1.xml").write_text(ONE)
    with pytest.raises(InputError, match=r"1.xml and .* in .* are both of image 'VOC2007/1': convert them one by one"):
        read(tmp_path)


def test_sizes_come_from_a_table_where_a_file_has_none(tmp_path: Path) -> None:
    none = ONE.replace("<object>", "<size><width>0</width><height/></size><object>")
    annotations(tmp_path, a=ONE, b=none, c=VOC)
    (tmp_path / "sizes.csv").write_text("image_id,width,height\na,7,8\nb,9,10\nc,1,1\n")
    dataset = read(tmp_path, sizes=tmp_path / "sizes.csv")
    assert len(rows_of(dataset)) == 4
    assert [(image["width"], image["height"]) for image in dataset.images().to_pylist()] == [
        (7, 8),
        (9, 10),
        (353, 500),
    ]


text = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=4)
flag = st.sampled_from([None, 0, 1])
flags = {"truncated": st.none() | st.floats(0, 1), "difficult": flag, "occluded": flag}
image = st.sampled_from(["a", "train/7", "é", "B"])
sizes = st.none() | st.integers(0, 2**31 - 1)


@pytest.mark.slow
@given(data=st.data(), one_based=st.booleans(), batch=st.integers(1, 9), ordered=st.booleans())
def test_everything_comes_back(data: st.DataObject, one_based: bool, batch: int, ordered: bool) -> None:
    number = st.integers(-(2**40), 2**40).map(lambda i: i / 8) if one_based else st.floats()
    row = {
        "image_id": image,
        "category_id": st.integers(0, 2),
        **dict.fromkeys(CORNERS, number),
        "pose": st.none() | text,
    }
    rows = data.draw(st.lists(st.fixed_dictionaries(row | flags), max_size=6))
    if ordered:
        rows.sort(key=lambda row: row["image_id"])
    names = data.draw(st.lists(text, min_size=3, max_size=3, unique=True))
    listed = {row["image_id"]: (data.draw(sizes), data.draw(sizes), data.draw(st.none() | text)) for row in rows}
    listed["z"] = (1, 2, None)
    images = [
        dict(zip(("image_id", "width", "height", "file_name"), (key, *value), strict=True))
        for key, value in listed.items()
    ]
    dataset = Dataset(
        "truths",
        SCHEMA,
        (pa.RecordBatch.from_pylist(rows[i : i + batch], SCHEMA) for i in range(0, len(rows), batch)),
        ordered,
        lambda: pa.Table.from_pylist(images, images_schema(pa.string())),
        dict(enumerate(names)),
    )
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "out")
        write(dataset, target, one_based=one_based)
        again = read(target, names=names, one_based=one_based)
        by_id = sorted(rows, key=lambda row: row["image_id"])
        assert exact(rows_of(again)) == exact(by_id)
        assert again.images().to_pylist() == sorted(images, key=lambda image: image["image_id"])


numerals = st.decimals(-999, 9999, places=3, allow_nan=False).map(str)


@pytest.mark.slow
@given(corners=st.lists(numerals, min_size=4, max_size=4), one_based=st.booleans())
def test_numbers_of_a_file_are_written_again_the_same(corners: list[str], one_based: bool) -> None:
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in zip(CORNERS, corners, strict=True))
    xml = f"<annotation><object><name>a</name><bndbox>{inside}</bndbox></object></annotation>"
    with tempfile.TemporaryDirectory() as folder:
        source = annotations(Path(folder), a=xml)
        write(read(source, one_based=one_based), source / "out", one_based=one_based)
        for shifted in (one_based, False):
            once, twice = (rows_of(read(path, one_based=shifted)) for path in (source, source / "out"))
            assert list(map(repr, once)) == list(map(repr, twice))


BOMB = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><filename>&b;</filename></annotation>'
BAD: dict[str, tuple[str | bytes, str]] = {
    "bomb": (BOMB, r"expected XML without entities of its own in .*a\.xml, got a declaration of one"),
    "outside": (OUTSIDE, r"expected XML without entities of its own in .*a\.xml, got a declaration of one"),
    "empty": (" \n", r"expected XML in .*a\.xml, got an empty file: export it again, or remove it"),
    "cut": (VOC[:300], r"expected XML in .*a\.xml, got '<ymin' in line 11, which can't stand there: fix it"),
    "cut at a line": (VOC[: VOC.index("<object>")], r"got an end in line 6, which can't stand there"),
    "mismatch": (VOC.replace("</name>", "</nom>", 1), r"got 'nom>' in line 7, which can't stand there"),
    "encoding": ('<?xml version="1.0" encoding="klingon"?><annotation/>', "not text in the encoding 'klingon' that it"),
    "wrong encoding": (
        b'<?xml version="1.0" encoding="gbk"?><annotation>\xff</annotation>',
        "not text in the encoding 'gbk'",
    ),
    "latin-1": (
        "<annotation>\n<filename>é</filename></annotation>".encode("latin-1"),
        "got byte 0xe9 in line 2: save it",
    ),
    "other": ("<html/>", r"expected an annotation of Pascal VOC in .*a\.xml, got <html>: export it as Pascal VOC"),
    "no name": (VOC.replace("<name>dog</name>", "<name/>"), "object 1 of .*a.xml has no name: give it one, or remove"),
    "no box": (
        VOC.replace("bndbox", "box"),
        r"object 1 \('dog'\) of .* has no bndbox: add the box around it, or remove",
    ),
    "two boxes": (VOC.replace("</bndbox>", "</bndbox>" + BOX, 1), "has 2 bndbox: give each an object of its own"),
    "rotated": (
        VOC.replace("bndbox", "robndbox"),
        "has a robndbox, which is rotated, and no bndbox: give it xmin, ymin",
    ),
    "polygon": (VOC.replace("bndbox", "polygon"), "has a polygon and no bndbox: add the box around it"),
    "elsewhere": (VOC.replace("<segmented>", f"<item>{BOX}</item><segmented>"), "a.xml has a bndbox outside of <anno"),
    "one level down": (VOC.replace("object>", "item>", 2), "a.xml has a bndbox outside of <annotation><object>: put"),
    "no corner": (VOC.replace("<xmax>195</xmax>", ""), r"object 1 \('dog'\) of .* has no xmax in its bndbox: add it"),
    "no number": (VOC.replace("195", "19 5"), r"object 1 \('dog'\) of .*a.xml has xmax '19 5': give a number"),
    "underscore": (VOC.replace("195", "19_5"), "has xmax '19_5': give a number"),
    "flag": (
        VOC.replace("<difficult>0", "<difficult>2"),
        "has difficult '2': give 0, 1 or a share in between, or Unsp",
    ),
    "half difficult": (VOC.replace("<difficult>0", "<difficult>.5"), "has difficult '.5': give 0, 1 or Unspecified"),
    "truncated": (
        VOC.replace("<truncated>1", "<truncated>1.5"),
        "has truncated '1.5': give 0, 1 or a share in between",
    ),
    "truncated how": (VOC.replace("<truncated>1", "<truncated>a bit"), "has truncated 'a bit': give a number"),
    "half": (VOC.replace(">353<", ">353.5<"), "size in .*a.xml has width 353.5: give a whole number of pixels"),
    "negative": (VOC.replace(">353<", ">-1<"), "has width -1.0: give a whole number of pixels"),
    "endless": (VOC.replace(">353<", ">inf<"), "has width inf: give a whole number of pixels"),
}


@pytest.mark.parametrize(("xml", "message"), BAD.values(), ids=BAD.keys())
def test_a_file_that_cannot_be_used_is_named(xml: str, message: str, tmp_path: Path) -> None:
    dataset = read(annotations(tmp_path, a=xml))
    with pytest.raises(InputError, match=message) as caught:
        write(dataset, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["Annotations"]


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\x00b", "a\x07", "a\rb", "a\ufffe"])
@pytest.mark.parametrize("tag", ["name", "pose", "filename"])
def test_text_that_xml_cannot_hold_is_refused(name: str, tag: str, tmp_path: Path) -> None:
    row = {"image_id": "a", "category_id": 0, **box(1, 2, 3, 4), "pose": name if tag == "pose" else "Left"}
    images = [{"image_id": "a", "file_name": name if tag == "filename" else None}]
    dataset = Dataset(
        "truths",
        SCHEMA,
        [pa.RecordBatch.from_pylist([row], SCHEMA)],
        True,
        lambda: pa.Table.from_pylist(images, images_schema(pa.string())),
        {0: name if tag == "name" else "dog"},
    )
    with pytest.raises(InputError, match=f"expected text that XML can hold, without space around it, for {tag}, got '"):
        write(dataset, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_results_are_refused(tmp_path: Path) -> None:
    dataset = read(annotations(tmp_path, a=VOC))
    dataset.kind = "results"
    with pytest.raises(InputError, match="expected truths to write as Pascal VOC, which has no scores, got results"):
        write(dataset, tmp_path / "out")


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected Pascal VOC annotations, \*\.xml, in .*, got none"):
        read(tmp_path)


def test_without_defusedxml_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "defusedxml", None)
    with pytest.raises(InputError, match=r"expected defusedxml .* got none: .*pip install 'fastbox-engine\[formats\]'"):
        rows_of(read(annotations(tmp_path, a=VOC)))
