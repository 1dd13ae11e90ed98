"""Pictures behind the boxes of examples: the right part of the right file, and a sentence for all others."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.calls import call
from support.pages import attributes, parsed

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("PIL")

from PIL import Image

import fastbox
from fastbox import InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.fragments import spread
from fastbox.report.page import pictures
from fastbox.report.page.contents import Box, Example, Examples, Page, Section
from fastbox.report.page.write import render

WIDE, HIGH = 240, 160
TRUTHS = {3: [[40.0, 30, 60, 50], [120.0, 90, 80, 60]], 5: [[150.0, 20, 70, 100]], 12: [[10.0, 100, 30, 40]]}


def graded(width: int = WIDE, height: int = HIGH) -> Any:
    """A picture whose red tells x and whose green tells y, as shares of its sides."""
    down, across = np.mgrid[0:height, 0:width]
    colours = np.stack([255 * across / (width - 1), 255 * down / (height - 1), 0 * down], axis=-1)
    return Image.fromarray(colours.round().astype("uint8"))


def seen(example: Example) -> np.ndarray:
    """The corners of the first box of an example, as the colours behind them tell: shares of the picture's sides."""
    assert example.picture is not None
    part = Image.open(io.BytesIO(base64.b64decode(example.picture.uri.partition(",")[2])))
    colours = np.asarray(part, np.float64)
    x, y, width, height = example.picture.place
    left, top, wide, high = example.place(example.boxes[0].corners)
    found = []
    for a, b in ((left, top), (left + wide, top + high)):
        column = min(max((a - x) / width * part.width, 0), part.width - 1)
        row = min(max((b - y) / height * part.height, 0), part.height - 1)
        found += (colours[int(row), int(column), :2] / 255).tolist()
    return np.array(found)


def page_of(*examples: Example) -> Page:
    return Page("p", "l", [], [Section("s", "Text.", [Examples("e", examples)])])


def shown(page: Page) -> list[Example]:
    (part,) = page.sections[0].parts
    assert isinstance(part, Examples)
    return list(part.examples)


def example(*corners: float, image: str = "3", **more: Any) -> Example:
    return Example("e", [Box(tuple(corners), "a", "truth")], image, **more)  # type: ignore[arg-type]


def coco(folder: Path) -> tuple[Path, Path]:
    """Truths with a list of images, and detections that miss or misplace some."""
    images = [{"id": k, "width": WIDE, "height": HIGH, "file_name": f"val/picture{k}.png"} for k in TRUTHS]
    boxes = [(image, box) for image, own in TRUTHS.items() for box in own]
    truths = [
        {"id": k, "image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for k, (image, box) in enumerate(boxes, 1)
    ]
    names = folder / "truths.json"
    names.write_text(json.dumps({"images": images, "annotations": truths, "categories": [{"id": 1, "name": "thing"}]}))
    found = [
        {"image_id": image, "category_id": 1, "bbox": [x + w / 2, y, w, h], "score": 0.9}
        for image, (x, y, w, h) in boxes[:3]
    ]
    (folder / "detections.json").write_text(json.dumps(found))
    return folder / "detections.json", names


def pictured(folder: Path, name: str = "val/picture{}.png") -> Path:
    for k in TRUTHS:
        path = folder / "pictures" / name.format(k)
        path.parent.mkdir(parents=True, exist_ok=True)
        graded().save(path)
    return folder / "pictures"


def uris(page: Path) -> list[str]:
    found = [
        value or "" for tag, name, value in attributes(parsed(page.read_text())) if (tag, name) == ("image", "href")
    ]
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in found)
    return found


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0])
@pytest.mark.parametrize(
    "corners", [(60, 40, 120, 100), (0, 0, 240, 160), (2, 3, 12, 9), (-30, 100, 40, 190), (200, 20, 239, 150)]
)
def test_the_part_behind_a_box_is_that_of_the_box(scale: float, corners: tuple[float, ...], tmp_path: Path) -> None:
    graded().resize((round(WIDE * scale), round(HIGH * scale))).save(tmp_path / "3.png")
    known = {"3": (None, (WIDE, HIGH))}
    (found,) = shown(pictures.illustrated(page_of(example(*corners)), tmp_path, lambda ids: known))
    inside = np.clip(np.array(corners) / (WIDE, HIGH, WIDE, HIGH), 0, 1)
    np.testing.assert_allclose(seen(found), inside, atol=0.03)
    x, y, width, height = found.picture.place  # type: ignore[union-attr]
    pixel = 100 / found.view[2] / scale
    assert min(x, y) > -pixel - 0.01 and max(x + width, y + height) < 100 + pixel + 0.01


def test_a_picture_is_stretched_to_the_size_that_an_image_is_resized_to(tmp_path: Path) -> None:
    graded().save(tmp_path / "3.png")
    (found,) = shown(pictures.illustrated(page_of(example(100, 50, 200, 250, size=(300, 300))), tmp_path))
    np.testing.assert_allclose(seen(found), [1 / 3, 1 / 6, 2 / 3, 5 / 6], atol=0.03)


def test_a_listed_size_of_another_shape_is_not_believed(tmp_path: Path) -> None:
    graded().save(tmp_path / "3.png")
    known = {"3": (None, (1000, 100))}
    (found,) = shown(pictures.illustrated(page_of(example(60, 40, 120, 80)), tmp_path, lambda ids: known))
    np.testing.assert_allclose(seen(found), [1 / 4, 1 / 4, 1 / 2, 1 / 2], atol=0.03)


@pytest.mark.parametrize(("size", "turned"), [((HIGH, WIDE), True), ((WIDE, HIGH), False), (None, True)])
def test_exif_turns_a_picture_unless_its_image_is_not_turned(size: Any, turned: bool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # to be shown turned by 90 degrees to the right
    graded().save(tmp_path / "3.png", exif=exif)
    known = {"3": (None, size)}
    corners = (32, 60, 64, 120)
    (found,) = shown(pictures.illustrated(page_of(example(*corners)), tmp_path, lambda ids: known))
    x0, y0, x1, y1 = corners
    straight = [x0 / WIDE, y0 / HIGH, x1 / WIDE, y1 / HIGH]
    on_its_side = [y0 / WIDE, 1 - x0 / HIGH, y1 / WIDE, 1 - x1 / HIGH]
    np.testing.assert_allclose(seen(found), on_its_side if turned else straight, atol=0.03)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK", "I;16", "F"])
def test_pictures_of_all_modes_are_shown(mode: str, tmp_path: Path) -> None:
    grey = graded().getchannel(0)
    deep = np.asarray(grey, np.uint16) * 20 + 1000
    given = Image.fromarray(deep if mode == "I;16" else deep.astype("float32")) if mode in ("I;16", "F") else None
    (given or grey.convert(mode)).save(tmp_path / "3.tif")
    (found,) = shown(pictures.illustrated(page_of(example(0, 0, WIDE, HIGH)), tmp_path))
    if mode != "1":
        assert seen(found)[0] < 0.1 and seen(found)[2] > 0.9


def test_what_has_no_picture_is_said_and_nothing_fails(tmp_path: Path) -> None:
    graded().save(tmp_path / "3.png")
    (tmp_path / "4.png").write_bytes((tmp_path / "3.png").read_bytes()[:300])
    (tmp_path / "5.jpg").write_bytes(b"no picture")
    given = [example(0, 0, 9, 9, image=image) for image in ("3", "4", "5", "6", "7", "8", "9", "10")]
    given += [example(900, 900, 990, 990, image="3"), Example("e", given[0].boxes)]
    with pytest.warns(fastbox.InputWarning, match=r"9 of 10 examples have no picture .*: check the pictures in "):
        page = pictures.illustrated(page_of(*given), tmp_path)
    assert [one.picture is not None for one in shown(page)] == [True] + [False] * 9
    assert shown(page)[1:] == given[1:]
    assert page.sections[0].text == (
        "Text. 9 of 10 examples have no picture (not readable: 4.png, 5.jpg; not found: image 6, image 7, image 8 and "
        "2 more; smaller than its boxes say: 3.png; no ids of images: ask for pictures in the call of the job)."
    )


def test_all_pictures_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "3.png")
    given = page_of(*[example(0, 0, 700, 700)] * 20)
    sizes = []
    for most in (4_000_000, 500_000, 200_000):
        monkeypatch.setattr(pictures, "MOST", most)
        found = shown(pictures.illustrated(given, tmp_path))
        sizes.append(sum(len(one.picture.uri) for one in found if one.picture))
        assert 0 < sizes[-1] <= most and all(one.picture for one in found)
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(pictures, "MOST", 2000)
    with pytest.warns(fastbox.InputWarning, match=r"20 of 20 .* \(beyond 2 kB in all: 3.png\)"):
        assert shown(pictures.illustrated(given, tmp_path)) == shown(given)


def test_only_the_pictures_of_examples_are_opened_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "345":
        graded().save(tmp_path / f"{name}.png")
    open_, opened = Image.open, []
    monkeypatch.setattr(Image, "open", lambda file: opened.append(Path(file).name) or open_(file))
    pictures.illustrated(page_of(example(0, 0, 9, 9), example(5, 5, 90, 90), example(0, 0, 5, 5, image="5")), tmp_path)
    assert opened == ["3.png", "5.png"]


def run_pairs(detections: Path, truths: Path, **more: Any) -> Any:
    return jobs.pairs(detections, truths, threshold=0.1, **more)


def run_measure(detections: Path, truths: Path, **more: Any) -> Any:
    boxes = truths.parent / "pairs.parquet"
    jobs.pairs(detections, truths, boxes, threshold=0.1, boxes=True)
    table = pq.read_table(boxes)
    names = [f"val/picture{k}.png" for k in table["image_id"].to_pylist()]
    pq.write_table(table.append_column("file_name", pa.array(names)), boxes)
    return jobs.measure(boxes, **more)


def run_assign(detections: Path, truths: Path, **more: Any) -> Any:
    rows = [{"image_id": k, "bbox": box, "width": WIDE, "height": HIGH} for k, own in TRUTHS.items() for box in own]
    table = pa.Table.from_pylist([row | {"file_name": f"picture{row['image_id']}.png"} for row in rows])
    pq.write_table(table, truths.parent / "truths.parquet")
    source = fastbox.Source(truths.parent / "truths.parquet", format="xywh")
    return jobs.assign(source, AnchorGrid.preset("retinanet"), resize="300x300", **more)


def run_inspect(detections: Path, truths: Path, **more: Any) -> Any:
    given = json.loads(truths.read_text())
    given["annotations"] += [given["annotations"][0] | {"id": 99}, given["annotations"][2] | {"id": 98}]
    truths.write_text(json.dumps(given))
    return jobs.inspect(truths, **more)


RUNS: dict[str, tuple[Callable[..., Any], int]] = {
    "assign": (run_assign, 4),
    "evaluate": (jobs.evaluate, 4),
    "inspect": (run_inspect, 2),
    "measure": (run_measure, 3),
    "pairs": (run_pairs, 3),
    "suspects": (jobs.suspects, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_the_page_of_every_job_shows_pictures(name: str, tmp_path: Path) -> None:
    run, least = RUNS[name]
    detections, truths = coco(tmp_path)
    folder = pictured(tmp_path)
    page = tmp_path / "page.html"
    found = run(detections, truths, report=page, pictures=folder)
    assert len(uris(page)) >= least and "no picture" not in page.read_text()
    later = tmp_path / "later.html"
    found.report(later, pictures=folder)
    assert later.read_text() == page.read_text()
    found.report(later)
    assert uris(later) == []


def test_a_notebook_shows_the_page_in_a_frame(tmp_path: Path) -> None:
    detections, truths = coco(tmp_path)
    found = run_pairs(detections, truths, report=tmp_path / "page.html")
    for page, count in ((found.page(), 0), (found.illustrated(pictured(tmp_path)), 3)):
        ((tag, frame),) = parsed(page._repr_html_()).found
        assert tag == "iframe" and frame["sandbox"] == "allow-scripts" and frame["srcdoc"] == render(page)
        assert (frame["srcdoc"] or "").count("<image ") == count
    with pytest.raises(InputError, match="expected a local folder of pictures"):
        found.illustrated(tmp_path / "none")


def test_a_result_is_pickled_without_the_names_of_files(tmp_path: Path) -> None:
    detections, truths = coco(tmp_path)
    found = pickle.loads(pickle.dumps(run_pairs(detections, truths, report=tmp_path / "page.html")))
    with pytest.warns(fastbox.InputWarning, match="3 of 3 examples have no picture .not found: image"):
        found.report(tmp_path / "page.html", pictures=pictured(tmp_path))


@pytest.mark.slow
def test_names_of_files_come_from_a_table_of_images(tmp_path: Path) -> None:
    detections, truths = coco(tmp_path)
    folder = pictured(tmp_path, "a{}.png")
    page = tmp_path / "page.html"
    rows = [{"image_id": k, "width": WIDE, "height": HIGH, "file_name": f"a{k}.png"} for k in TRUTHS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "images.parquet")
    for path in (detections, truths):
        jobs.convert(path, path.with_suffix(".parquet"))
    sides = detections.with_suffix(".parquet"), truths.with_suffix(".parquet")
    jobs.evaluate(*sides, images_table=tmp_path / "images.parquet", report=page, pictures=folder)
    assert len(uris(page)) == 4
    with pytest.warns(fastbox.InputWarning, match="not found: image"):
        jobs.evaluate(*sides, report=page, pictures=folder)
    assert uris(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inspect", "evaluate"])
def test_fragments_show_pictures_where_they_have_examples(name: str, tmp_path: Path) -> None:
    detections, truths = coco(tmp_path)
    page = tmp_path / "page.html"
    tables = (detections, truths) if name == "evaluate" else (truths,)
    spread(getattr(jobs, name), *tables, fragment_rows=1, report=page, pictures=pictured(tmp_path))
    assert len(uris(page)) >= (4 if name == "evaluate" else 0)
    with pytest.raises(InputError, match=r"expected a page to show the pictures of .* on, got none"):
        spread(getattr(jobs, name), *tables, pictures=tmp_path)


@pytest.mark.slow
def test_the_command_shows_pictures_and_warns(tmp_path: Path) -> None:
    detections, truths = coco(tmp_path)
    folder, page = pictured(tmp_path), tmp_path / "page.html"
    (folder / "val" / "picture12.png").unlink()
    words = ["evaluate", str(detections), str(truths), "--report", str(page), "--pictures", str(folder)]
    result = call(*words)
    assert result.exit_code == 0 and "1 of 4 examples have no picture (not found: image 12)" in result.stderr
    assert len(uris(page)) == 3


def test_what_can_not_be_shown_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detections, truths = coco(tmp_path)
    page = tmp_path / "page.html"
    with pytest.raises(InputError, match=r"expected a page to show .*, got none: add report='page.html'"):
        jobs.pairs(detections, truths, pictures=tmp_path)
    with pytest.raises(InputError, match=r"expected a local folder of pictures, got .*, which is none: name another"):
        jobs.pairs(detections, truths, report=page, pictures=tmp_path / "none")
    with pytest.raises(InputError, match=r"would replace pictures in .*: choose another folder"):
        spread(jobs.pairs, detections, truths, out=f"{tmp_path}/", report=page, pictures=tmp_path)
    pq.write_table(pa.table({"pred": [[0.0, 0, 2, 2]], "target": [[1.0, 0, 3, 2]]}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match=r"expected a column image_id in .* to find the pictures of its rows"):
        jobs.measure(tmp_path / "p.parquet", report=page, pictures=tmp_path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(InputError, match=r"expected Pillow .*: pip install 'fastbox-engine\[formats\]'"):
        jobs.pairs(detections, truths, report=page, pictures=tmp_path)
    assert not page.exists()


def test_names_of_pictures_are_only_text(tmp_path: Path) -> None:
    name = '"><script>alert(1)</script>'
    with pytest.warns(fastbox.InputWarning):
        html = render(pictures.illustrated(page_of(example(0, 0, 9, 9, image=name)), tmp_path))
    assert "<script>alert" not in html and not re.search(r"<image", html)
