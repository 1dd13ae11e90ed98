"""The reports of commands: what is on them, that chunks change nothing, and that they are refused in time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.calls import call
from support.pages import HOSTILE, parsed

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

import fastbox
from fastbox import InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.fragments import spread
from fastbox.report.page.contents import COLUMNS, Example, Examples, Page, Section, Table
from fastbox.report.page.write import render
from fastbox.results.pair_views import ASPECT_EDGES, SIDE_EDGES, Heat, Worst

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def boxes(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    made = np.concatenate([low, low + rng.uniform(1, 80, (n, 2))], axis=1)
    made[::17] = [3, 3, 1, 9]
    made[::19, 2] = np.nan
    return made.astype("float32")


def measured_table(n: int = 300) -> pa.Table:
    sides = {"pred": boxes(n, 0), "target": boxes(n, 0) + np.float32(3)}
    sides["target"][::5] = boxes(n, 1)[::5]
    return pa.table({f"{side}_{name}": b[:, k] for side, b in sides.items() for k, name in enumerate(CORNERS)})


def sections(page: Page) -> dict[str, Section]:
    return {section.title: section for section in page.sections}


def figures(page: Page) -> dict[str, str]:
    return {figure.label: figure.value for figure in page.figures}


def detections_and_truths(folder: Path, names: Sequence[str] = ("a", "b")) -> tuple[Path, Path]:
    """Two tables of 20 images, of classes of some names, with image sizes."""
    paths = []
    for name, n, seed in (("detections", 400, 2), ("truths", 150, 3)):
        ids = np.sort(np.random.default_rng(seed).integers(0, 20, n))
        corners = boxes(n, seed)
        more = {"category_id": [names[k % len(names)] for k in range(n)], "width": [300] * n, "height": [200] * n}
        table = {"image_id": ids, **{corner: corners[:, k] for k, corner in enumerate(CORNERS)}, **more}
        paths.append(folder / f"{name}.parquet")
        pq.write_table(pa.table(table), paths[-1], row_group_size=37)
    return paths[0], paths[1]


# what they look at besides


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_heat_is_the_mean_of_each_bin_whatever_the_chunks(step: int) -> None:
    rng = np.random.default_rng(3)
    side, aspect = np.exp2(rng.uniform(0, 12, 400)), np.exp2(rng.uniform(-5, 5, 400))
    wide, high = side * np.sqrt(aspect), side / np.sqrt(aspect)
    corners = np.stack([0 * wide, 0 * wide, wide, high], axis=1)
    values = rng.random(400)
    values[::9] = np.nan
    heat = Heat()
    for first in range(0, 400, step):
        part = Heat()
        part.add(values[first : first + step], corners[first : first + step])
        heat = heat + part
    edges = [np.concatenate([[0], e[1:-1], [np.inf]]) for e in (ASPECT_EDGES, SIDE_EDGES)]
    known = ~np.isnan(values)
    given = (wide / high)[known], np.sqrt(wide * high)[known]
    counts = np.histogram2d(*given, bins=edges)[0]
    sums = np.histogram2d(*given, bins=edges, weights=values[known])[0]
    found = heat.to_dict()
    np.testing.assert_array_equal(found["counts"], counts)
    means = np.array([[np.nan if mean is None else mean for mean in row] for row in found["means"]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(means, sums / counts, rtol=1e-7)


def test_boxes_of_no_size_have_a_place_on_the_map() -> None:
    heat = Heat()
    with np.errstate(all="raise"):
        heat.add(np.ones(4), np.array([[5.0, 5, 5, 5], [0, 0, 0, 9], [0, 0, 9, 0], [-1e308, -1e308, 1e308, 1e308]]))
    assert heat.counts.sum() == 4


@pytest.mark.parametrize("step", [1, 5, 64, 1000])
@pytest.mark.parametrize("greatest", [False, True])
def test_the_worst_are_those_of_a_sort_whatever_the_chunks(step: int, greatest: bool) -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 12, 200) / 12
    values[::7] = np.nan
    pred, target = boxes(200, 5), boxes(200, 6)
    worst = Worst("iou", greatest)
    for first in range(0, 200, step):
        rows = slice(first, min(first + step, 200))
        part = Worst("iou", greatest)
        numbers = np.arange(rows.start, rows.stop)[:, None]
        part.add(values[rows], pred[rows], target[rows], numbers, np.arange(len(numbers)))
        worst = worst + part
    sign = -1 if greatest else 1
    expected = [int(k) for k in np.argsort(sign * values, kind="stable")[:12]]
    assert [pair.row for pair in worst.pairs] == [(k,) for k in expected]
    assert [pair.value for pair in worst.pairs] == values[expected].tolist()
    np.testing.assert_array_equal([pair.pred for pair in worst.pairs], pred[expected].astype(float))
    assert [pair.image for pair in worst.pairs] == [k % step for k in expected]


# what is on the pages


def measured(folder: Path, report: Path | None = None, **options: Any) -> Any:
    pq.write_table(measured_table(), folder / "p.parquet", row_group_size=31)
    return jobs.measure(folder / "p.parquet", report=report, **options)


def paired(folder: Path, report: Path | None = None, **options: Any) -> Any:
    detections, truths = detections_and_truths(folder)
    return jobs.pairs(detections, truths, threshold=0.3, metrics=["giou", "iou"], report=report, **options)


def assigned(folder: Path, report: Path | None = None, **options: Any) -> Any:
    _, truths = detections_and_truths(folder)
    options |= {"resize": Resize("shorter", 200, 400), "class_column": "category_id"}
    return jobs.assign(truths, AnchorGrid.preset("retinanet"), report=report, **options)


RUNS: dict[str, Callable[..., Any]] = {"measure": measured, "pairs": paired, "assign": assigned}


@pytest.mark.slow
def test_a_page_of_measured_rows(tmp_path: Path) -> None:
    found = measured(tmp_path, tmp_path / "r.html")
    page = found.page()
    assert figures(page)["rows"] == "300"
    assert figures(page)["mean IoU"] == f"{found.metrics['iou'].mean:#.4g}"
    assert list(sections(page)) == ["Distributions", "Size and shape", "Worst", "Invalid boxes"]
    table = measured_table()
    values = fastbox.aligned(*(np.stack([table[f"{s}_{c}"] for c in CORNERS], axis=1) for s in ("pred", "target")))
    (worst,) = sections(page)["Worst"].parts
    assert isinstance(worst, Examples)
    assert worst.examples[0].caption == f"row {int(np.nanargmin(values)):,}: IoU {np.nanmin(values):.3g}"
    assert render(page, found.provenance) == (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.slow
def test_a_page_of_pairs(tmp_path: Path) -> None:
    found = paired(tmp_path, tmp_path / "r.html")
    page = found.page()
    assert figures(page)["pairs"] == f"{found.pairs:,}"
    assert figures(page)["unmatched detections"] == f"{found.unmatched:,}"
    detections, truths = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("detections", "truths"))
    out = tmp_path / "out.parquet"
    paired(tmp_path, out=out)
    rows = pq.read_table(out).to_pandas().sort_values(["giou", "detection", "truth"], kind="stable")
    (worst,) = sections(page)["Worst"].parts
    assert isinstance(worst, Examples)
    for example, (_, row) in zip(worst.examples, rows.iterrows(), strict=False):
        at = int(row["detection"]), int(row["truth"])
        assert example.caption == (
            f"image {int(row['image_id'])}, detection {at[0]:,}, truth {at[1]:,}: GIoU {row['giou']:#.4g}"
        )
        for box, table, number in zip(example.boxes, (truths, detections), at[::-1], strict=True):
            assert box.corners == tuple(table[corner][number].as_py() for corner in CORNERS)
    alone = jobs.pairs(tmp_path / "truths.parquet", threshold=0.1, report=tmp_path / "alone.html").page()
    assert "unmatched boxes" in figures(alone)


@pytest.mark.slow
def test_a_page_of_anchors(tmp_path: Path) -> None:
    found = assigned(tmp_path, tmp_path / "r.html")
    page, coverage = found.page(), found.to_dict()["coverage"]
    assert figures(page)["positive anchors"] == f"{int(found.positives.sum()):,}"
    assert figures(page)["truths without a positive anchor"] == f"{coverage['without_positive']:,}"
    assert list(sections(page)) == ["Levels", "Coverage", "Size and shape", "Classes", "Lowest coverage"]
    (classes,) = sections(page)["Classes"].parts
    assert isinstance(classes, Table)
    by_class = {name: f"{part['truths']:,}" for name, part in coverage["by_class"].items()}
    name, count = (column.cells for column in classes.columns[:2])
    assert dict(zip(name, count, strict=True)) == by_class
    assert set(by_class) == {"a", "b"}
    (least,) = sections(page)["Lowest coverage"].parts
    assert isinstance(least, Examples)
    best = [float(example.caption.rsplit(" ", 1)[1]) for example in least.examples]
    assert best == sorted(best) and len(best) == 12
    assert {example.boxes[0].label for example in least.examples} == {"image of 300 × 200"}


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("name", RUNS)
def test_a_page_depends_on_neither_chunks_nor_output_and_changes_no_figure(name: str, tmp_path: Path) -> None:
    run = RUNS[name]
    options: list[dict[str, Any]] = [{"rows": 7}, {"rows": 1000, "out": tmp_path / "o.parquet"}, {}]
    found = [run(tmp_path, tmp_path / f"{k}.html", **more) for k, more in enumerate(options)]
    assert len({(tmp_path / f"{k}.html").read_bytes() for k in range(3)}) == 1
    before = (tmp_path / "o.parquet").read_bytes()
    plain = run(tmp_path, out=tmp_path / "o.parquet")
    assert plain.to_dict() == found[0].to_dict()
    assert (tmp_path / "o.parquet").read_bytes() == before
    assert "Worst" not in sections(plain.page()) and "Lowest coverage" not in sections(plain.page())


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 1])
def test_pages_of_next_to_nothing(tmp_path: Path, rows: int) -> None:
    pq.write_table(measured_table(1).slice(0, rows), tmp_path / "p.parquet")
    page = jobs.measure(tmp_path / "p.parquet", report=tmp_path / "r.html").page()
    assert figures(page)["mean IoU"] == "–"
    for path in detections_and_truths(tmp_path):
        pq.write_table(pq.read_table(path).slice(0, rows), path)
    truths = tmp_path / "truths.parquet"
    jobs.pairs(tmp_path / "detections.parquet", truths, report=tmp_path / "r.html")
    jobs.assign(truths, AnchorGrid.preset("retinanet"), resize=Resize("none", 99, 99), report=tmp_path / "r.html")
    assert parsed((tmp_path / "r.html").read_text("utf-8")).open == []


@pytest.mark.slow
def test_names_from_the_data_are_text(tmp_path: Path) -> None:
    _, truths = detections_and_truths(tmp_path, HOSTILE)
    resize = Resize("none", 300, 200)
    grid = AnchorGrid.preset("retinanet")
    jobs.assign(truths, grid, resize=resize, class_column="category_id", report=tmp_path / "r.html")
    _, plain = detections_and_truths(tmp_path, [f"class {k}" for k in range(len(HOSTILE))])
    jobs.assign(plain, grid, resize=resize, class_column="category_id", report=tmp_path / "plain.html")
    theirs, ours = (parsed((tmp_path / name).read_text("utf-8")) for name in ("r.html", "plain.html"))
    assert {(tag, *sorted(found)) for tag, found in theirs.found} == {
        (tag, *sorted(found)) for tag, found in ours.found
    }
    assert "<script>alert(1)</script>" in "".join(theirs.texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_commands_write_pages_and_say_where(name: str, tmp_path: Path) -> None:
    RUNS[name](tmp_path)
    inputs = {"measure": ["p"], "pairs": ["detections", "truths"], "assign": ["truths"]}[name]
    more = ["--anchors", "retinanet", "--resize", "shorter=200,longer=400"] if name == "assign" else []
    given = [name, *(tmp_path / f"{table}.parquet" for table in inputs), *more]
    result = call(*given, "--report", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    assert f"→ {tmp_path / 'r.html'}" in result.stdout
    assert (tmp_path / "r.html").read_text("utf-8").lower().startswith("<!doctype html>")
    (tmp_path / "r.html").unlink()
    before = sorted(path.name for path in tmp_path.iterdir())
    refused = call(*given, "-o", tmp_path / "o.parquet", "--report", tmp_path / "no" / "r.html")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: expected a folder")
    with pytest.raises(InputError, match="expected"):
        RUNS[name](tmp_path, tmp_path / f"{inputs[0]}.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# errors of an evaluation


def evaluation_tables(folder: Path, *, models: int = 1) -> tuple[Path, Path]:
    """Truths on a grid, most of which nothing is on, and detections on some of them; two of the truths are invalid."""
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 400, (200, 2))
    truths = np.concatenate([low, low + rng.uniform(5, 60, (200, 2))], axis=1)
    ids, kinds = np.repeat(np.arange(20), 10), rng.integers(0, 3, 200)
    found = truths[::4] + rng.normal(0, 1, (50, 4))
    truths[3], truths[7] = [9, 9, 2, 2], np.nan
    columns = {"image_id": ids, "category_id": kinds, **{c: truths[:, k] for k, c in enumerate(CORNERS)}}
    pq.write_table(pa.table(columns), folder / "gt.parquet", row_group_size=20)
    rows = np.repeat(np.arange(50), models)
    columns = {"image_id": ids[::4][rows], "category_id": kinds[::4][rows], "score": rng.random(len(rows))}
    columns |= {c: found[rows, k] for k, c in enumerate(CORNERS)}
    columns |= {"run": np.array([f"model {k}" for k in range(models)] * 50)}
    pq.write_table(pa.table(columns), folder / "dt.parquet", row_group_size=20)
    return folder / "dt.parquet", folder / "gt.parquet"


def drawn_errors(page: Page) -> list[str]:
    return [part.title.split(":")[0] for part in sections(page)["Examples"].parts if isinstance(part, Examples)]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [7, 1000])
def test_the_error_with_the_largest_delta_ap_comes_first_with_its_examples(tmp_path: Path, rows: int) -> None:
    found = jobs.evaluate(*evaluation_tables(tmp_path), rows=rows)
    delta_ap = found.to_dict()["errors"]["delta_ap"]
    drawn = drawn_errors(found.page())
    assert drawn[0] == max(delta_ap, key=lambda kind: float(delta_ap[kind])) == "missed"
    (missed, *_) = (part for part in sections(found.page())["Examples"].parts if isinstance(part, Examples))
    truths = pq.read_table(tmp_path / "gt.parquet")
    corners = np.stack([truths[c].to_numpy() for c in CORNERS], axis=1)
    boxes = [example.boxes[0].corners for example in missed.examples]
    sides = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]
    assert len(missed.examples) == 12 and sides == sorted(sides, reverse=True)
    for example in missed.examples:
        row = int(re.findall(r"truth ([\d,]+)", example.caption)[0].replace(",", ""))
        assert example.boxes[0].corners == tuple(corners[row]) and row % 4
    assert {box.role for example in missed.examples for box in example.boxes} <= {"truth", "detection"}


@pytest.mark.slow
def test_examples_depend_on_neither_chunks_nor_fragments(tmp_path: Path) -> None:
    tables = evaluation_tables(tmp_path)
    pages = [jobs.evaluate(*tables, rows=rows).page() for rows in (7, 1000)]
    pages.append(spread(jobs.evaluate, *tables, fragment_rows=40).page())
    assert render(pages[0]) == render(pages[1]) == render(pages[2])


@pytest.mark.slow
def test_models_side_by_side_have_examples_of_the_best(tmp_path: Path) -> None:
    tables = evaluation_tables(tmp_path, models=2)
    page = jobs.evaluate(*tables, by="run", report=tmp_path / "r.html").page()
    assert drawn_errors(page)[0] == "missed"
    assert sections(page)["Examples"].text.startswith("Errors of model ")


@pytest.mark.parametrize("count", range(1, 14))
def test_rows_of_examples_are_full_at_any_width(count: int) -> None:
    shown = Examples("e", [Example("", [])] * count).placed()
    for columns in COLUMNS:
        left = sum(f"not{columns}" not in partial.split() for _, partial in shown)
        assert left == count if count < columns else left % columns == 0
        assert left > count - columns
