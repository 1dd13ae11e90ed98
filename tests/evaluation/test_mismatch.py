"""Detections and truths whose images or boxes are written differently: refused, or said with evidence."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.misread import Scene, warned

import fastbox
from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.errors import InputWarning, on_command_line
from fastbox.fragments import spread


@pytest.mark.jit
@pytest.mark.parametrize("format", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_fits_is_not_suspected(tmp_path: Path, format: str, seed: int) -> None:
    assert warned(*Scene(seed).write(tmp_path, format=format, called=format)) == []


@pytest.mark.jit
@pytest.mark.parametrize(
    ("format", "called"),
    [
        ("xyxy", "xywh"),
        ("xywh", "xyxy"),
        ("cxcywh", "xywh"),
        ("xywh", "cxcywh"),
        ("xyxy", "cxcywh"),
        ("cxcywh", "xyxy"),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_boxes_in_another_format_are_said(tmp_path: Path, format: str, called: str, swapped: bool) -> None:
    detections, truths = Scene().write(tmp_path, format=format, called=called)
    if swapped:  # the truths are those in another format
        scores = pa.array(np.linspace(0, 1, len(pq.read_table(truths))))
        pq.write_table(pq.read_table(truths).append_column("score", scores), tmp_path / "found.parquet")
        pq.write_table(pq.read_table(detections).drop_columns(["score"]), tmp_path / "wanted.parquet")
        detections, truths = tmp_path / "found.parquet", tmp_path / "wanted.parquet"
    side = "truths" if swapped else "detections"
    with on_command_line():
        (sentence,) = warned(detections, truths)
    if {format, called} != {"xywh", "cxcywh"}:  # where either side may be the one that is not what it is called
        assert sentence.startswith(f"boxes of the {side} fit if they are read as {format} (mean best IoU 0.")
    mend = sentence.rpartition("formats, ")[2]
    formats = dict(zip(("detections", "truths"), mend.split()[1::2], strict=True))
    mended = CliRunner().invoke(main, ["evaluate", str(detections), str(truths), "--json", *mend.split()])
    found = json.loads(mended.stdout)
    assert found["warnings"] == [] and found["stats"]["AP50"] > 0.8
    assert {name: boxes["format"] for name, boxes in found["boxes"].items()} == formats
    named = (fastbox.Source(detections, format=formats["detections"]), fastbox.Source(truths, format=formats["truths"]))
    again = jobs.evaluate(*named)
    assert again.stats[None] == found["stats"]


@pytest.mark.slow
@pytest.mark.parametrize("clutter", [3, 30])
@pytest.mark.parametrize("called", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("format", ["xyxy", "xywh", "cxcywh", "yxyx"])
def test_boxes_are_said_however_many_of_low_score_there_are(
    tmp_path: Path, format: str, called: str, clutter: int
) -> None:
    """As real detectors have them: most detections lie on nothing."""
    scene = Scene(classes=2, images=20, clutter=clutter)
    said = warned(*scene.write(tmp_path, format=format, called=called))
    if format == called:
        assert said == []
    else:
        assert len(said) == 1 and f"fit if they are read as {format if format != 'cxcywh' else ''}" in said[0]


@pytest.mark.jit
@pytest.mark.parametrize("raw", ["xyxy", "yxyx", "xywh", "cxcywh"])
@pytest.mark.parametrize("right", ["detections", "truths"])
@pytest.mark.parametrize("wrong", ["xywh", "cxcywh", "xyxy", "yxyx"])
def test_the_side_that_is_not_what_it_is_called_is_named(right: str, wrong: str, raw: str) -> None:
    """Also where the numbers of both sides fit as well if both are read in the wrong format."""
    if raw == wrong or {raw, wrong} == {"xyxy", "yxyx"}:  # the same boxes, or mirrored ones, whose figures are the same
        return
    scene = Scene()
    # Boxes larger than they are far from the corner, which fit themselves in any format.
    scene.side += 150
    sides = {name: (wrong, raw)[name == right] for name in ("detections", "truths")}
    boxes = {
        name: fastbox.Boxes(scene.boxes(raw, noise=name == "detections"), called, images=scene.image)
        for name, called in sides.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fastbox.evaluate(boxes["detections"], scene.score, boxes["truths"])
    (sentence,) = found.warnings
    side = "detections" if right == "truths" else "truths"
    assert sentence.startswith(f"boxes of the {side} fit if they are read as {raw} ")
    assert sentence.endswith(f"give the formats, {raw!r} of the detections, {raw!r} of the truths")


@pytest.mark.jit
@pytest.mark.parametrize("clutter", [0, 20])
@pytest.mark.parametrize("shift", [-1, 1])
def test_ids_off_by_one_are_said(tmp_path: Path, shift: int, clutter: int) -> None:
    scene = Scene(clutter=clutter)
    (sentence,) = warned(*scene.write(tmp_path, ids=scene.image + shift))
    assert sentence.startswith(f"detections fit the truths of image {-shift:+d} (mean best IoU 0.")
    assert "count the image ids of both from the same number" in sentence


def test_boxes_in_shares_of_the_image_are_said(tmp_path: Path) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path)
    table = pq.read_table(detections)
    for name, size in zip("xywh", (640, 480, 640, 480), strict=True):
        table = table.set_column(table.schema.get_field_index(name), name, pa.compute.divide(table[name], size))
    pq.write_table(table, detections)
    (sentence,) = warned(detections, truths)
    assert sentence.startswith("boxes of the detections reach ") and sentence.endswith("to pixels")


@pytest.mark.parametrize("kind", [int, str])
def test_no_image_in_common_is_refused(tmp_path: Path, kind: type) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path, ids=scene.image + 1000)
    if kind is str:
        for path, form in ((detections, "val/{}.jpg"), (truths, "{}")):
            table = pq.read_table(path)
            ids = pa.array([form.format(value) for value in table["image_id"].to_pylist()])
            pq.write_table(table.set_column(0, "image_id", ids).sort_by("image_id"), path)
    first = {int: "1000, 1001, 1002", str: "'val/1000.jpg', 'val/1001.jpg', 'val/1002.jpg'"}[kind]
    result = CliRunner().invoke(main, ["evaluate", str(detections), str(truths), "-o", str(tmp_path / "out.parquet")])
    assert result.exit_code == 2 and not (tmp_path / "out.parquet").exists()
    assert "expected images that both tables have, got none" in result.stderr and first in result.stderr
    assert str(detections) in result.stderr and str(truths) in result.stderr
    with pytest.raises(InputError, match="expected images that both tables have"):
        spread(jobs.evaluate, detections, truths, fragment_rows=100)
    with pytest.raises(ValueError, match=r"expected images that both .* ids such as 7 of detections and 8 of truths"):
        fastbox.evaluate(fastbox.Boxes([[0, 0, 4, 4]], images=[7]), [1], fastbox.Boxes([[0, 0, 4, 4]], images=[8]))


@pytest.mark.parametrize("fragments", [False, True])
def test_what_has_nothing_in_common_is_evaluated_all_the_same_by_force(tmp_path: Path, fragments: bool) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, ids=scene.image + 1000)
    with pytest.raises(InputError, match="or go on with force=True"):
        jobs.evaluate(*tables)
    out = tmp_path / ("parts/" if fragments else "out.parquet")
    shown = CliRunner().invoke(main, ["evaluate", *map(str, tables), "-o", f"{out}{'/' * fragments}", "--force"])
    assert shown.exit_code == 0 and out.exists()
    assert "warning: not refused as force is set: expected images that both tables have" in shown.stdout
    found = jobs.evaluate(*tables, force=True)
    assert found.evaluation.stats()["AP"] == 0
    assert found.to_dict()["errors"]["counts"]["missed"] == found.evaluation.truths


@pytest.mark.parametrize(
    ("own", "its", "same"),
    [
        ("val/{}.jpg", "{}", True),
        ("{:012d}", "{}.png", True),
        ("a\\{}.JPEG", "b/{}", True),
        ("{}", "scene{}", False),
        ("{}.0", "{}", False),
    ],
)
def test_ids_that_differ_in_writing_alone_are_said(tmp_path: Path, own: str, its: str, same: bool) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path)
    for path, form in ((detections, own), (truths, its)):
        table = pq.read_table(path)
        ids = pa.array([form.format(value + 1) for value in table["image_id"].to_pylist()])
        pq.write_table(table.set_column(0, "image_id", ids).sort_by("image_id"), path)
    said = "differ only in folders, endings or leading zeros"
    with pytest.raises(InputError, match="expected images that both tables have") as error:
        jobs.evaluate(detections, truths)
    assert (said in str(error.value)) == same
    one = [[0, 0, 4, 4]]
    boxes = (fastbox.Boxes(one, images=[form.format(5)]) for form in (own, its))
    with pytest.raises(ValueError, match="expected images that both") as wrong:
        fastbox.evaluate(next(boxes), [0.5], next(boxes))
    assert (said in str(wrong.value)) == same
    instances = {"images": [{"id": its.format(k)} for k in range(9)], "categories": [], "annotations": []}
    (tmp_path / "gt.json").write_text(json.dumps(instances))
    found = [{"image_id": own.format(5), "category_id": 1, "bbox": [0, 0, 4, 4], "score": 0.5}]
    (tmp_path / "dt.json").write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"expected detections of images that .* lists") as unlisted:
        jobs.evaluate(tmp_path / "dt.json", tmp_path / "gt.json")
    assert (said in str(unlisted.value)) == same


def test_images_of_one_side_are_said_and_counted(tmp_path: Path) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path, ids=np.where(scene.image < 30, scene.image + 100, scene.image))
    (sentence,) = warned(detections, truths)
    assert sentence.startswith("only 10 of 40 images with detections have truths (100, 101, 102 in the detections only")
    assert jobs.evaluate(detections, truths).to_dict()["images_with_boxes"] == {
        "both": 10,
        "detections": 30,
        "truths": 30,
    }
    few = pq.read_table(truths)
    pq.write_table(pq.read_table(scene.write(tmp_path)[0]).slice(0, 50), detections)
    pq.write_table(few, truths)
    (sentence,) = warned(detections, truths)
    assert "images with truths have detections" in sentence and sentence.endswith(
        "truths of the others count as missed"
    )


def test_arrays_warn_in_python() -> None:
    scene = Scene()
    truths = fastbox.Boxes(scene.boxes("xywh"), "xywh", images=scene.image)
    wrong = fastbox.Boxes(scene.boxes("xyxy", noise=True), "xywh", images=scene.image)
    with pytest.warns(InputWarning, match="boxes of the detections fit if they are read as xyxy"):
        fastbox.evaluate(wrong, scene.score, truths)
    right = fastbox.Boxes(scene.boxes("xyxy", noise=True), "xyxy", images=scene.image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fastbox.evaluate(right, scene.score, truths)
        fastbox.evaluate(right[:0], [], truths[:0])
