"""The page of ``fastbox inspect``: it says what was found, and nothing from the data is anything but text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.pages import HOSTILE, attributes, parsed
from support.scenes import LIMITS, Scene

from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.jobs.inspection.problems import SEVERITIES, Limits
from fastbox.report.page.contents import Examples, Page, Plot, Table
from fastbox.report.page.write import render
from fastbox.report.pages.inspected import MEANINGS, page_of
from fastbox.tables.sink import Sink

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


def sections(page: Page) -> dict[str, Any]:
    return {section.title: section for section in page.sections}


def table_of(page: Page, caption: str) -> dict[str, Any]:
    tables = [part for section in page.sections for part in section.parts if isinstance(part, Table)]
    found = next(table for table in tables if table.caption == caption)
    return {column.title: list(column.cells) for column in found.columns}


@pytest.mark.slow
def test_the_page_says_what_was_found(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    found = jobs.inspect(scene.path, scene.images, fix=tmp_path / "c.parquet", limits=LIMITS)
    page, summary = found.page(), found.to_dict()
    figures = {figure.label: figure.value for figure in page.figures}
    counts = found.problems.counts
    for severity in ("error", "warning", "note"):
        total = sum(count for code, count in counts.items() if SEVERITIES[code] == severity)
        assert figures[f"{severity}s"] == f"{total:,}"
    assert (figures["boxes"], figures["images"], figures["classes"]) == ("150", "9", "3")
    by_code = table_of(page, "Problems by code")
    assert dict(zip(by_code["code"], map(int, by_code["count"]), strict=True)) == counts
    assert by_code["severity"] == sorted(by_code["severity"], key=["error", "warning", "note"].index)
    assert set(by_code["limit"]) >= {"0.5 px", "30 : 1", "IoU 0.8", "90%", "3", "–"}
    first = table_of(page, "First problems of each code")
    assert len(first["code"]) == sum(min(count, 12) for count in counts.values())
    classes = table_of(page, "4 classes")
    assert classes["class"] == [str(c["class"]) if c["class"] is not None else "(none)" for c in summary["classes"]]
    assert table_of(page, "Changes")["change"][0] == "clipped"
    titles = [part.title for section in page.sections for part in section.parts if isinstance(part, Plot)]
    assert len(titles) == len(set(titles)) == 8
    html = render(page)
    assert html == render(found.page())
    assert "partly outside of the image" in "".join(parsed(html).texts)


def test_every_code_has_its_meaning() -> None:
    assert set(MEANINGS) == set(SEVERITIES)


@pytest.mark.slow
def test_examples_are_drawn_as_they_are(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    page = jobs.inspect(scene.path, limits=LIMITS).page()
    drawn = {part.title.split(",")[0]: part for part in sections(page)["Examples"].parts if isinstance(part, Examples)}
    assert "non_finite" not in drawn and "near_duplicate" in drawn
    box = drawn["inverted"].examples[0].boxes[0]
    assert box.corners[2] > box.corners[0] and "-5" in box.label
    flat = drawn["zero_side"].examples[0].boxes[0]
    assert flat.corners[2] > flat.corners[0] and ": 0 × 4" in flat.label
    partner, own = drawn["near_duplicate"].examples[0].boxes
    assert (partner.role, own.role) == ("box", "problem")
    frame, _ = drawn["out_of_image"].examples[0].boxes
    assert frame.role == "frame" and frame.corners[:2] == (0.0, 0.0) and frame.label.startswith("image of ")
    assert all(len(part.examples) <= 12 for part in drawn.values())
    for part in drawn.values():
        for example in part.examples:
            for _, x, y, width, height in example.placed():
                assert min(x, y) >= 0 and min(width, height) > 0 and max(x + width, y + height) <= 100


@pytest.mark.slow
@pytest.mark.parametrize("sized", [False, True])
def test_a_page_of_little_or_nothing(tmp_path: Path, sized: bool) -> None:
    scene = Scene(tmp_path)
    table = scene.table if sized else scene.table.drop_columns(["width", "height", "category_id", "id"])
    for rows in (table.slice(0, 0), table.slice(0, 1), table.slice(7, 1)):
        with pq.ParquetWriter(scene.path, rows.schema) as writer:
            writer.write_table(rows)
        for limits in (Limits(), Limits(class_size=None)):
            page = jobs.inspect(scene.path, limits=limits).page()
            parsed(render(page))
            assert ("image sizes are unknown" in page.lead) == (not sized)


@pytest.mark.slow
def test_extreme_boxes_are_no_trouble(tmp_path: Path) -> None:
    quads = [[0, 0, 3e38, 3e38], [0, 0, 0, 0], [-1e-40, 0, 1e-40, 1e-40], [5, 5, 3, 3], [np.nan, 0, 1, 1]]
    table = {"image_id": [1] * 5, "bbox": quads, "width": [640] * 5, "height": [480] * 5}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    html = render(jobs.inspect(tmp_path / "t.parquet").page())
    for tag, name, value in attributes(parsed(html)):
        if tag == "rect" and name in ("x", "y", "width", "height"):
            assert value is not None and np.isfinite(float(value))


@pytest.mark.slow
def test_nothing_from_the_data_is_an_element_or_an_attribute(tmp_path: Path) -> None:
    """Ids, classes and their names come from the data."""
    quads = [[1.0, 1, 1, 5], [2.0, 2, 9, 9], [2.0, 2, 9, 9], [2.0, 2, 9, 9.1], [-50.0, 0, 4, 900]]
    shapes, texts = [], ""
    for names in (HOSTILE, [f"name number {k}" for k in range(len(HOSTILE))]):
        images = sorted(names)
        rows = len(images) * len(quads)
        table = pa.table(
            {
                "image_id": [image for image in images for _ in quads],
                "category_id": [names[k % 3] for k in range(rows)],
                "id": [names[4]] * rows,
                "bbox": quads * len(images),
                "width": [64] * rows,
                "height": [48] * rows,
            }
        )
        with Sink(tmp_path / "t.parquet", table.schema, command="convert", parameters={}) as sink:
            sink.record(categories={names[0]: names[1], names[2]: names[3]})
            sink.write(table)
        page = page_of(json.loads(json.dumps(jobs.inspect(tmp_path / "t.parquet").to_dict())))
        elements = parsed(render(page))
        shapes.append({(tag, *sorted(found)) for tag, found in elements.found})
        for tag, name, value in attributes(elements):
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href"):
                assert value is not None and value.startswith(("#", "data:,")), (tag, name, value)
        assert [tag for tag, _ in elements.found].count("script") == 1
        texts += "".join(elements.texts)
    assert shapes[0] <= shapes[1] | {("g", "id", "style")}
    assert "<script>alert(1)</script>" in texts
    assert not set(texts) & {"\x00", "\x07", "\x1b"}


@pytest.mark.slow
def test_the_command_writes_a_page_or_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    page = tmp_path / "report.html"
    result = CliRunner().invoke(main, ["inspect", str(scene.path), "--report", str(page)])
    assert result.exit_code == 0, result.output
    assert str(page) in result.stdout.replace("\n", "")
    assert page.read_text().startswith("<!doctype html>")
    found = jobs.inspect(scene.path, limits=Limits())
    assert found.provenance is not None
    command = f"fastbox inspect {scene.path} --report {page}"
    assert page.read_text() == render(found.page(), replace(found.provenance, command=command))
    with pytest.raises(InputError, match="expected a page such as report"):
        jobs.inspect(scene.path, out=tmp_path / "p.parquet", report=tmp_path / "report.pdf")
    assert not (tmp_path / "p.parquet").exists()
