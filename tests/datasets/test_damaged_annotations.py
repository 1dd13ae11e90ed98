"""Annotations of every format, damaged at random: every box is read, or a sentence says what is wrong or left out."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.convert import convert
from fastbox.errors import InputError, InputWarning

pytest.importorskip("defusedxml")
pytest.importorskip("yaml")

COCO = {
    "info": {"year": 2014},
    "images": [{"id": 1, "width": 64, "height": 32, "file_name": "a.jpg"}, {"id": 2, "width": 128, "height": 64}],
    "annotations": [
        {"id": 7, "image_id": 1, "category_id": 3, "bbox": [8.5, 4, 16, 8], "area": 128.0, "iscrowd": 0, "ignore": 1},
        {"id": 8, "image_id": 2, "category_id": 3, "bbox": [0, 0, 9, 9], "segmentation": [[1, 2, 3, 4, 5, 6]]},
        {"image_id": 1, "category_id": 4, "bbox": [1, 1, 1, 1]},
    ],
    "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
}
RESULTS = [{"image_id": i, "category_id": 3, "bbox": [1, 2, 3.5, 4], "score": 0.5} for i in range(3)]
OBJECT = """<object><name>cat</name><pose>Left</pose><truncated>0</truncated><difficult>1</difficult>
<bndbox><xmin>1</xmin><ymin>2.5</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
"""
VOC = f"""<?xml version="1.0" encoding="utf-8"?>
<annotation><filename>a.jpg</filename><size><width>64</width><height>32</height></size>
{OBJECT}{OBJECT}</annotation>
"""
KITTI = """Car 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56
DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10
"""
TRACKING = "".join(f"{frame} 2 {KITTI.splitlines()[0]}\n" for frame in range(3))
PERSON = {
    "tag": "person",
    "fbox": [1, 2, 3, 4],
    "hbox": [1, 2, 1, 1],
    "extra": {"box_id": 1, "occ": 0},
    "head_attr": {},
}
CROWD = "".join(json.dumps({"ID": name, "gtboxes": [PERSON, {**PERSON, "tag": "mask"}]}) + "\n" for name in "ab")
HUB = "".join(
    json.dumps({"file_name": f"{name}.png", "objects": {"bbox": [[1, 2, 3, 4]] * 2, "categories": [0, 1]}}) + "\n"
    for name in "ab"
)
OPEN = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n" + 3 * "a,x,/m/01,1,0.1,0.25,0,1,0\n"
YOLO = "0 0.5 0.5 0.25 0.125\n1 0.25 0.5 0.5 1\n"
POLYGONS = "0 0.5 0.5 0.25 0.125 0.75 0.5 0.25 1\n1 0.25 0.5 0.5 1\n"
SIZES = "image_id,width,height\na,64,32\nb,128,64\n"


def elements(text: str, *, results: bool = False) -> int:
    found = json.loads(text)
    return len(found if results else found["annotations"])


def people(text: str) -> int:
    return sum(len(json.loads(line)["gtboxes"]) for line in text.split("\n") if line.strip())


def objects(text: str) -> int:
    return sum(len(json.loads(line)["objects"]["bbox"]) for line in text.split("\n") if line.strip())


def lines(text: str) -> int:
    return sum(bool(line.strip()) for line in re.split("\r\n|\r|\n", text.removeprefix("\ufeff")))


def records(text: str) -> int:
    return lines(text) - 1


def boxes(text: str) -> int:
    return len(list(ElementTree.fromstring(text).iter("object")))


# Of each: the file to damage, what it holds, what else is there, how to convert it, and how to count its boxes.
FILES = {
    "coco": ("a.json", json.dumps(COCO), {}, "coco", elements),
    "coco, pretty": ("a.json", json.dumps(COCO, indent=1), {}, "coco", elements),
    "coco-results": ("a.json", json.dumps(RESULTS), {}, "coco-results", lambda text: elements(text, results=True)),
    "voc": ("Annotations/a.xml", VOC, {}, "voc", boxes),
    "kitti": ("label_2/a.txt", KITTI, {"label_2/b.txt": KITTI}, "kitti", lambda text: lines(text) + 2),
    "kitti's results": ("label_2/a.txt", KITTI.replace("\n", " 0.5\n"), {}, "kitti", lines),
    "kitti's tracking": ("label_02/a.txt", TRACKING, {}, "kitti", lines),
    "crowdhuman": ("a.odgt", CROWD, {}, "crowdhuman", people),
    "huggingface": ("a.jsonl", HUB, {}, "huggingface", objects),
    "open-images": ("a.csv", OPEN, {"sizes.csv": SIZES}, "open-images", records),
    "yolo": ("labels/a.txt", YOLO, {"labels/b.txt": YOLO, "sizes.csv": SIZES}, "yolo", lambda text: lines(text) + 2),
    "yolo's results": ("labels/a.txt", YOLO.replace("\n", " 0.5\n"), {"sizes.csv": SIZES}, "yolo", lines),
    "yolo's polygons": (
        "labels/a.txt",
        POLYGONS,
        {"labels/b.txt": YOLO, "sizes.csv": SIZES},
        "yolo",
        lambda text: lines(text) + 2,
    ),
    "yolo's names": (
        "data.yaml",
        "path: .\nnames:\n  0: cat\n  1: dog\nkpt_shape: [2, 3]\n",
        {"labels/a.txt": YOLO, "sizes.csv": SIZES},
        "yolo",
        lambda text: 2,
    ),
    "yolo's sizes": ("sizes.csv", SIZES, {"labels/a.txt": YOLO, "labels/b.txt": YOLO}, "yolo", lambda text: 4),
    "darknet's names": (
        "obj.data",
        "names = data/obj.names\n",
        {
            "obj_train_data/a.txt": YOLO,
            "obj.names": "cat\ndog\n",
            "sizes.csv": "image_id,width,height\nobj_train_data/a,9,9",
        },
        "yolo",
        lambda text: 2,
    ),
}

NUMBERS = ["nan", "NaN", "Infinity", "-1", "1e999", "2", "3.0", "1.5", "0.5", "1_0", "\u0663", "9" * 25]
SIGNS = [
    "",
    "null",
    "true",
    "[]",
    "{}",
    "'",
    '"',
    " ",
    "\t",
    "\n",
    "\r",
    ",",
    ":",
    "\\",
    "é",
    "\x00",
    "\ufeff",
    "\ud800",
]
WORDS = ["<a>", "</object>", "<object>", "&amp;", "&x;", "a.jpg"]
STRANGE = [*NUMBERS, *WORDS, *SIGNS]


@pytest.mark.slow
@pytest.mark.parametrize("of", FILES)
@given(data=st.data())
def test_damage_is_named_or_every_box_is_read(of: str, data: st.DataObject) -> None:
    name, text, beside, own, count = FILES[of]
    words = re.findall(r"\s+|[\w.\-/]+|.", text)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, len(words) - 1))
        how = data.draw(st.sampled_from(["drop", "repeat", "replace", "insert", "swap", "cut"]))
        other = data.draw(st.sampled_from(STRANGE) | st.sampled_from(words)) if how in ("replace", "insert") else ""
        word = words[place]
        words[place] = {"drop": "", "repeat": word * 2, "replace": other, "insert": word + other}.get(how, word)
        if how == "swap":
            words[place], words[place - 1] = words[place - 1], words[place]
        if how == "cut":
            del words[place + 1 :]
    damaged = "".join(words)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source")
        for file, content in {**beside, name: damaged}.items():
            path = source / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode(errors="surrogatepass"))
        given_sizes = {"sizes": source / "sizes.csv"} if own == "open-images" else {}
        single = name if own in ("coco", "coco-results", "crowdhuman", "huggingface", "open-images") else ""
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                made = convert(source / single, Path(folder, "out.parquet"), source_format=own, **given_sizes)
        except InputError as error:
            assert "\n" not in str(error)
            assert str(source) in str(error)
            assert ": " in str(error)
            assert not Path(folder, "out.parquet").exists()
        else:
            assert all(issubclass(warning.category, InputWarning) for warning in said)
            assert made["rows"] == count(damaged) or said
