"""Detections and truths that are not written in one way: refused, or said with evidence; what fits is not suspected."""

from __future__ import annotations

import json
import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import fastbox
from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.errors import InputWarning, on_command_line
from fastbox.fragments import spread

NAMES = {"xyxy": ("xmin", "ymin", "xmax", "ymax"), "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h")}


class Scene:
    """A detector that finds nearly everything, in every format, and so many boxes of low scores beside each truth."""

    def __init__(self, seed: int = 0, images: int = 40, classes: int = 20, clutter: int = 0) -> None:
        random = np.random.default_rng(seed)
        m = 10 * images
        self.image = np.sort(random.integers(0, images, m))
        self.kind = random.integers(1, classes + 1, m)
        self.corner, self.side = random.random((m, 2)) * [500, 300], random.random((m, 2)) * 100 + 10
        self.noise = random.normal(0, 2, (m, 2))
        self.score = random.random(m)
        k = clutter * m
        self.beside = random.integers(0, images, k), random.integers(1, classes + 1, k), random.random(k) * 0.2
        self.beside_boxes = np.hstack((random.random((k, 2)) * [500, 300], random.random((k, 2)) * 100 + 10))

    def boxes(self, format: str, noise: bool = False) -> NDArray[np.float64]:
        corner, side = self.corner + (self.noise if noise else 0), self.side
        if noise:
            corner, side = np.vstack((corner, self.beside_boxes[:, :2])), np.vstack((side, self.beside_boxes[:, 2:]))
        parts = {
            "xyxy": (corner, corner + side),
            "xywh": (corner, side),
            "cxcywh": (corner + side / 2, side),
            "yxyx": (corner[:, ::-1], (corner + side)[:, ::-1]),
        }
        return np.hstack(parts[format])

    def write(
        self,
        folder: Path,
        *,
        format: str = "xywh",
        called: str = "xywh",
        ids: Any = None,
        kinds: Any = None,
        **more: Any,
    ) -> tuple[Path, Path]:
        image, kind = self.image if ids is None else ids, self.kind if kinds is None else kinds
        if len(self.beside[0]):
            shift = 0 if ids is None else int(ids[0] - self.image[0])
            image, kind = np.append(image, self.beside[0] + shift), np.append(kind, self.beside[1])
        score = np.append(self.score + (0.2 if len(self.beside[2]) else 0), self.beside[2])
        found = {"image_id": image, "category_id": kind, "score": score, **more}
        found |= dict(zip(NAMES[called], self.boxes(format, noise=True).T, strict=True))
        wanted = {
            "image_id": self.image,
            "category_id": self.kind,
            **dict(zip("xywh", self.boxes("xywh").T, strict=True)),
        }
        pq.write_table(pa.table(found).sort_by("image_id"), folder / "dt.parquet")
        pq.write_table(pa.table(wanted), folder / "gt.parquet")
        return folder / "dt.parquet", folder / "gt.parquet"


def warned(*tables: Path, **options: Any) -> list[str]:
    """The warnings of a run, the same in fragments."""
    found = jobs.evaluate(*tables, **options)
    parts = spread(jobs.evaluate, *tables, fragment_rows=100, **options)
    assert [sentence.split("(")[0] for sentence in parts.warnings] == [one.split("(")[0] for one in found.warnings]
    assert found.to_dict()["warnings"] == found.warnings
    return found.warnings


@pytest.mark.parametrize("format", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("seed", [0, 1])
def test_what_fits_is_not_suspected(tmp_path: Path, format: str, seed: int) -> None:
    assert warned(*Scene(seed).write(tmp_path, format=format, called=format)) == []


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


@pytest.mark.parametrize("clutter", [0, 20])
@pytest.mark.parametrize("shift", [-1, 1])
def test_ids_off_by_one_are_said(tmp_path: Path, shift: int, clutter: int) -> None:
    scene = Scene(clutter=clutter)
    (sentence,) = warned(*scene.write(tmp_path, ids=scene.image + shift))
    assert sentence.startswith(f"detections fit the truths of image {-shift:+d} (mean best IoU 0.")
    assert "count the image ids of both from the same number" in sentence


@pytest.mark.parametrize("change", [lambda k: k - 1, lambda k: k + 1, lambda k: 21 - k])
def test_classes_that_are_numbered_otherwise_are_said(tmp_path: Path, change: Any) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, kinds=change(scene.kind))
    (sentence,) = warned(*tables)
    assert (
        "detections lie on truths of another class" in sentence
        and "number or name the classes of both alike" in sentence
    )
    assert jobs.evaluate(*tables).evaluation.warnings == [sentence]


def test_numbers_that_differ_from_some_class_on_are_said(tmp_path: Path) -> None:
    """As COCO's 80 classes counted from 1 do, of which most boxes are of the first ones, which have the same number."""
    scene = Scene()
    random = np.random.default_rng(5)
    scene.kind = np.where(random.random(len(scene.kind)) < 0.6, 1, scene.kind)
    (sentence,) = warned(*scene.write(tmp_path, kinds=scene.kind + (scene.kind > 7)))
    assert "detections lie on truths of another class and 0 on those of their own" in sentence


def test_few_boxes_of_many_classes_are_not_suspected() -> None:
    """Each of another class than the truth it lies on, but by no rule."""
    random = np.random.default_rng(0)
    boxes = np.hstack((np.arange(7)[:, None] * [50, 20], np.full((7, 2), 30)))
    truths = fastbox.Boxes(boxes, "xywh", images=np.arange(7))
    kinds = random.permutation(100)[:7]
    own = np.append(random.permutation(100)[:6], kinds[-1])
    found = fastbox.evaluate(truths, np.linspace(0.1, 0.9, 7), truths, classes=own, truth_classes=kinds)
    assert found.warnings == []
    with pytest.warns(InputWarning, match=r"4 detections lie on truths of another class .* \(class 1 on 2, 3 on 4"):
        fastbox.evaluate(truths[:4], [1] * 4, truths[:4], classes=[1, 3, 5, 7], truth_classes=[2, 4, 6, 8])


def test_a_poor_classifier_is_not_suspected(tmp_path: Path) -> None:
    scene = Scene()
    kinds = np.random.default_rng(3).integers(1, 21, len(scene.kind))
    assert warned(*scene.write(tmp_path, kinds=kinds)) == []


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
    assert str(detections) in result.stderr and str(truths) in result.stderr and "Traceback" not in result.stderr
    with pytest.raises(InputError, match="expected images that both tables have"):
        spread(jobs.evaluate, detections, truths, fragment_rows=100)
    with pytest.raises(ValueError, match=r"expected images that both .* ids such as 7 of detections and 8 of truths"):
        fastbox.evaluate(fastbox.Boxes([[0, 0, 4, 4]], images=[7]), [1], fastbox.Boxes([[0, 0, 4, 4]], images=[8]))


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
    said = "are the same but for folders, endings and zeros in front"
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
    assert sentence.startswith(
        "only 10 of 40 images with detections have truths (100, 101, 102 in the detections alone"
    )
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


def test_no_class_in_common_is_refused(tmp_path: Path) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, kinds=scene.kind + 50)
    with pytest.raises(
        InputError, match=r"expected classes that both .* got none: 51, 52, 53 in .*dt.* and 1, 2, 3 in .*gt"
    ):
        jobs.evaluate(*tables)
    with pytest.raises(InputError, match="expected classes that both tables have"):
        spread(jobs.evaluate, *tables, fragment_rows=100)
    assert jobs.evaluate(*tables, params=fastbox.Params(class_agnostic=True)).stats[None]["AP50"] > 0.8


def test_few_classes_in_common_are_refused_where_nobody_names_them(tmp_path: Path) -> None:
    """Less than half of the numbers that the side with fewer of them has."""
    rng = np.random.default_rng(0)

    def table(name: str, kinds: list[Any]) -> Path:
        left = np.array([20.0 * "123456789abcdefghi".index(str(kind)) for kind in kinds])
        boxes = {"xmin": left, "ymin": left * 0, "xmax": left + 10, "ymax": left * 0 + 10}
        path = tmp_path / name
        pq.write_table(
            pa.table({"image_id": [1] * len(kinds), **boxes, "category_id": kinds, "score": rng.random(len(kinds))}),
            path,
        )
        return path

    truths = table("gt.parquet", [1, 2, 3, 4, 5])
    with pytest.raises(
        InputError, match=r"expected classes that both tables have, got 1 of 3: 8, 9 in .* and 1, 2, 3 in"
    ):
        jobs.evaluate(table("dt.parquet", [5, 8, 9]), truths)
    for kinds in ([4, 5, 8], [5, 8], [5]):
        assert jobs.evaluate(table("dt.parquet", kinds), truths).stats[None]["AP50"] > 0
    named = table("names.parquet", list("abcde"))
    assert jobs.evaluate(table("dt.parquet", ["e", "h", "i"]), named).stats[None]["AP50"] > 0


def test_a_class_that_the_truths_name_is_none_of_another_numbering(tmp_path: Path) -> None:
    """Few boxes may well be of other classes than the truths."""
    box = {"image_id": 1, "bbox": [0, 0, 9, 9]}
    (tmp_path / "dt.json").write_text(json.dumps([{**box, "category_id": 1, "score": 0.5}]))
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    instances = {"images": [{"id": 1}], "categories": categories, "annotations": [{**box, "id": 1, "category_id": 2}]}
    (tmp_path / "gt.json").write_text(json.dumps(instances))
    for name in ("dt", "gt"):
        jobs.convert(tmp_path / f"{name}.json", tmp_path / f"{name}.parquet")
    for ending in ("json", "parquet"):
        found = jobs.evaluate(tmp_path / f"dt.{ending}", tmp_path / f"gt.{ending}")
        assert found.stats[None]["AP"] == 0.0
    instances["categories"] = categories[1:]
    (tmp_path / "gt.json").write_text(json.dumps(instances))
    jobs.convert(tmp_path / "gt.json", tmp_path / "gt.parquet")
    with pytest.raises(InputError, match="expected classes that both tables have"):
        jobs.evaluate(tmp_path / "dt.parquet", tmp_path / "gt.parquet")


def test_arrays_of_no_class_in_common_warn() -> None:
    one = [[0, 0, 4, 4]]
    with pytest.warns(InputWarning, match=r"no class in common, those of detections are 1 and of truths 2: number or"):
        fastbox.evaluate(one, [0.5], one, classes=[1], truth_classes=[2])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rules = fastbox.Params(class_agnostic=True)
        fastbox.evaluate(one, [0.5], one, classes=[1], truth_classes=[2], params=rules)
        fastbox.evaluate(one, [0.5], one * 2, classes=[1], truth_classes=[2, 1])


def test_classes_of_two_kinds_are_refused(tmp_path: Path) -> None:
    scene = Scene()
    tables = scene.write(tmp_path, kinds=[f"{kind}" for kind in scene.kind])
    with pytest.raises(
        InputError, match=r"classes of one kind .* got strings in .*dt.parquet and integers in .*gt.parquet"
    ):
        jobs.evaluate(*tables)
    one = [[0, 0, 4, 4]]
    with pytest.raises(ValueError, match="of one kind"):
        fastbox.evaluate(one, [0.5], one, classes=["1"], truth_classes=[1])
    with pytest.raises(ValueError, match="of one kind"):
        fastbox.evaluate(one, [0.5], one, classes=[1], truth_classes=["1"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "model", "Detector", "experiment", "Model Name", "model-id"])
def test_models_that_nobody_told_apart_are_said(tmp_path: Path, name: str) -> None:
    scene = Scene()
    models = np.array(["one", "two"])[np.arange(len(scene.score)) % 2]
    detections, truths = scene.write(tmp_path, **{name: models})
    (sentence,) = warned(detections, truths)
    assert sentence.startswith(f"column {name!r} of {detections} has several values ('one' to 'two')")
    assert sentence.endswith(f"evaluate each by itself with by={name!r}")
    with on_command_line():
        assert warned(detections, truths)[0].endswith(f"with --by {shlex.quote(name)}")
    assert warned(detections, truths, by=name) == []
    assert warned(*scene.write(tmp_path, **{name: np.full(len(models), "one")})) == []
    assert warned(*scene.write(tmp_path, note=models)) == []


def test_models_are_told_without_statistics_too(tmp_path: Path) -> None:
    scene = Scene()
    models = np.arange(len(scene.score)) // 399
    detections, truths = scene.write(tmp_path, model=models)
    pq.write_table(pq.read_table(detections), detections, write_statistics=False)
    assert "column 'model' of" in jobs.evaluate(detections, truths).warnings[0]
    pq.write_table(pq.read_table(scene.write(tmp_path, model=models * 0)[0]), detections, write_statistics=False)
    assert jobs.evaluate(detections, truths).warnings == []


@pytest.mark.parametrize("role", ["class_column", "score_column", "image", "boxes"])
def test_a_column_that_is_used_tells_no_models_apart(tmp_path: Path, role: str) -> None:
    """Classes of cars may be called by their model."""
    tables = Scene().write(tmp_path)
    own = {"class_column": "category_id", "score_column": "score", "image": "image_id", "boxes": "x"}[role]
    for path in tables:
        names = pq.read_table(path).column_names
        pq.write_table(pq.read_table(path).rename_columns(["model" if name == own else name for name in names]), path)
    if role == "image":
        found = jobs.evaluate(*(fastbox.Source(path, image="model") for path in tables))
    elif role == "boxes":
        found = jobs.evaluate(*(fastbox.Source(path, boxes="model,y,w,h", format="xywh") for path in tables))
    else:
        found = jobs.evaluate(*tables, **{role: "model"})
    assert found.warnings == [] and found.stats[None]["AP50"] > 0.8


def test_a_terminal_shows_warnings_and_what_figures_depend_on(tmp_path: Path) -> None:
    detections, truths = Scene().write(tmp_path, format="xyxy", called="xywh", model=np.arange(400) % 3)
    result = CliRunner().invoke(main, ["evaluate", str(detections), str(truths)], env={"COLUMNS": "400"})
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sum(line.startswith("warning: ") for line in lines) == 2
    for said in (
        "images: 40 with both, 0 with detections alone, 0 with truths alone",
        "columns: score, class category_id, image image_id",
        "boxes of both: x, y, w, h (xywh)",
    ):
        assert said in lines
    assert "IoU ≥ 0.50 to 0.95" in result.stdout and "at most 1, 10, 100 detections of an image" in result.stdout


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


def test_names_and_columns_of_boxes_can_be_told(tmp_path: Path) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path)
    for path, names in ((detections, ("a", "b", "c", "d")), (truths, ("p", "q", "r", "s"))):
        table = pq.read_table(path)
        pq.write_table(table.rename_columns({**dict(zip("xywh", names, strict=True))}), path)
    (tmp_path / "names.txt").write_text("".join(f"thing {k}\n" for k in range(21)))
    options = ("--box", "a,b,c,d", "--truth-box", "p,q,r,s", "--format", "xywh", "--names", str(tmp_path / "names.txt"))
    result = CliRunner().invoke(main, ["evaluate", str(detections), str(truths), "--json", *options])
    found = json.loads(result.stdout)
    assert found["warnings"] == [] and found["by_class"][4]["name"] == "thing 5"
    assert found["boxes"]["truths"] == {"columns": "p, q, r, s", "format": "xywh"}
    named = (fastbox.Source(detections, "a,b,c,d", "xywh"), fastbox.Source(truths, "p,q,r,s", "xywh"))
    told = jobs.evaluate(*named, names=[f"thing {k}" for k in range(21)]).to_dict()
    assert {"schema": 1, **told} == found


@pytest.mark.parametrize("other", ["thing 5 ", "Thing 5", "thing_5", "thing-5", "THING5"])
@pytest.mark.parametrize("swapped", [False, True])
def test_classes_that_are_spelled_otherwise_are_said(tmp_path: Path, other: str, swapped: bool) -> None:
    scene = Scene()
    detections, truths = scene.write(tmp_path)
    wrong = truths if swapped else detections
    for path in (detections, truths):
        table = pq.read_table(path)
        names = [other if k == 5 and path == wrong else f"thing {k}" for k in table["category_id"].to_pylist()]
        place = table.schema.get_field_index("category_id")
        pq.write_table(table.set_column(place, "category_id", pa.array(names)), path)
    found = jobs.evaluate(*(fastbox.Source(path, format="xywh") for path in (detections, truths))).warnings
    pair = ("thing 5", other) if swapped else (other, "thing 5")
    assert [f"differently: {pair[0]!r} and {pair[1]!r}: name the classes of both alike" in one for one in found] == [
        True
    ]
