"""Several tables of detections: each model as if alone, and the first or best one compared with the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.fragments import spread
from fastbox.jobs.gathered import names_of_models
from fastbox.tables.record import read_record
from fastbox.tables.source import Source

NAMES = ["ant", "bee", "cat"]


def call(*arguments: Any) -> Any:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write truths as COCO JSON, and detections in Parquet by corners and by sizes, in JSON, and all in one table."""
    folder = tmp_path_factory.mktemp("models")
    random = np.random.default_rng(5)
    images, m = np.arange(20) * 2 + 1, 90
    image = np.sort(random.choice(images[3:], m))
    boxes = np.hstack((random.random((m, 2)) * 300, random.random((m, 2)) * 90 + 5))
    kinds = random.integers(1, 4, m)
    truths = {
        "images": [{"id": int(one), "width": 400, "height": 400, "file_name": f"{one}.png"} for one in images],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(NAMES)],
        "annotations": [
            {"id": k + 1, "image_id": int(image[k]), "category_id": int(kinds[k]), "bbox": boxes[k].tolist()}
            | {"area": float(boxes[k, 2] * boxes[k, 3]), "iscrowd": int(random.random() < 0.05)}
            for k in range(m)
        ],
    }
    paths = {name: folder / name for name in ("truths.json", "a.parquet", "b.parquet", "c.json", "all.parquet")}
    paths["truths.json"].write_text(json.dumps(truths))
    rows = []
    for name, noise, count in (("a", 2, 150), ("b", 5, 200), ("c", 9, 80)):
        row = np.sort(random.integers(0, m, count))
        near = boxes[row] + random.normal(0, noise, (count, 4))
        kind = np.where(random.random(count) < 0.9, kinds[row], 1)
        ids = np.where(random.random(count) < 0.9, image[row], random.choice(images, count))
        order = np.argsort(ids, kind="stable")
        rows.append((name, ids[order], near[order], kind[order], random.random(count)))
    write(paths, rows)
    return paths


def write(paths: dict[str, Path], rows: list[Any]) -> None:
    for name, ids, near, kind, score in rows:
        x, y, w, h = near.T
        if name == "a":
            own = {"image_id": ids, "x": x, "y": y, "w": w, "h": h, "category_id": kind, "score": score}
            pq.write_table(pa.table(own), paths["a.parquet"])
        elif name == "b":
            sides = {"xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h}
            own = {"image_id": ids, **sides, "label": kind.astype(np.int32), "confidence": score.astype(np.float32)}
            pq.write_table(pa.table(own), paths["b.parquet"])
        else:
            results = [
                {"image_id": int(i), "category_id": int(k), "bbox": box.tolist(), "score": float(s)}
                for i, box, k, s in zip(ids, near, kind, score, strict=True)
            ]
            paths["c.json"].write_text(json.dumps(results))
    both = [row for row in rows if row[0] != "b"]
    names, ids, near, kind, score = (
        np.concatenate([np.full(len(row[1]), row[0]) if k == 0 else row[k] for row in both]) for k in range(5)
    )
    order = np.argsort(ids, kind="stable")
    columns = {
        "image_id": ids,
        "category_id": kind,
        "score": score,
        "run": names,
        **dict(zip("xywh", near.T, strict=True)),
    }
    pq.write_table(pa.table({name: column[order] for name, column in columns.items()}), paths["all.parquet"])


def test_each_model_has_the_figures_that_it_has_alone(scene: dict[str, Path]) -> None:
    models = [scene[name] for name in ("a.parquet", "b.parquet", "c.json")]
    found = jobs.evaluate(models[0], scene["truths.json"], others=models[1:], rows=1)
    assert found.by == "model"
    assert list(found.stats) == ["a", "b", "c"]
    for name, path in zip("abc", models, strict=True):
        alone = jobs.evaluate(path, scene["truths.json"])
        assert found.stats[name] == alone.stats[None]
        assert found.evaluation.errors(name).delta_ap == alone.evaluation.errors().delta_ap
        assert np.array_equal(found.evaluation.pairs(name)["giou"], alone.evaluation.pairs()["giou"])


def test_matches_are_written_with_the_rows_of_each_table(scene: dict[str, Path], tmp_path: Path) -> None:
    out, alone = tmp_path / "out.parquet", tmp_path / "alone.parquet"
    models = [scene[name] for name in ("a.parquet", "b.parquet", "c.json")]
    assert call(*models, scene["truths.json"], "-o", out).exit_code == 0
    assert read_record(out)["parameters"]["detections"] == list(map(str, models))
    written = pq.read_table(out).to_pylist()
    for name, path in zip("abc", models, strict=True):
        jobs.evaluate(path, scene["truths.json"], alone)
        own = [{key: row[key] for key in row if key != "model"} for row in written if row["model"] == name]
        assert own == pq.read_table(alone).to_pylist()


@pytest.mark.jit
def test_files_and_a_column_of_models_compare_alike(scene: dict[str, Path]) -> None:
    truths = scene["truths.json"]
    files = json.loads(call(scene["a.parquet"], scene["c.json"], truths, "--compare", "--json").stdout)
    column = json.loads(call(scene["all.parquet"], truths, "--by", "run", "--compare", "--json").stdout)
    assert files["models"]["a"]["stats"]["AP"] > files["models"]["c"]["stats"]["AP"]  # the best one comes first
    assert files["comparisons"] == column["comparisons"]
    (found,) = files["comparisons"]
    assert (found["model"], found["other"], found["samples"]) == ("a", "c", 1000)
    assert [row["name"] for row in found["by_class"]] == NAMES
    assert sum(found["truths"].values()) == sum(sum(row[name] for name in found["truths"]) for row in found["by_class"])
    turned = json.loads(call(scene["c.json"], scene["a.parquet"], truths, "--compare", "--json").stdout)
    assert turned["comparisons"][0]["model"] == "c"
    assert turned["comparisons"][0]["truths"]["only_model"] == found["truths"]["only_other"]
    options = {"by": "run", "compare": True, "samples": 7, "seed": 2}
    whole = jobs.evaluate(scene["all.parquet"], truths, **options)
    parts = spread(jobs.evaluate, scene["all.parquet"], truths, fragment_rows=60, **options)
    assert parts.to_dict()["comparisons"] == whole.to_dict()["comparisons"]


@pytest.mark.jit
def test_the_page_shows_truths_that_one_model_finds(scene: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = jobs.evaluate(
        scene["a.parquet"], scene["truths.json"], others=[scene["c.json"]], compare=True, samples=9, report=page
    )
    (comparison,) = found.comparisons
    kinds = dict(found._examples_apart("a", "c"))
    alone = comparison.found.sum(axis=0)[1:3].tolist()
    assert [len(own) for own in kinds.values()] == [min(12, count) for count in alone if count]
    text = page.read_text()
    for said in ("a compared with c", "found by a, missed by c", "Differences with intervals", "only c"):
        assert said in text
    shown = call(scene["a.parquet"], scene["b.parquet"], scene["c.json"], scene["truths.json"], "--compare")
    assert "a compared with 2 models" in shown.stdout
    for rule, sampled in (("voc07", True), ("crowdhuman", False)):
        alike = call(scene["a.parquet"], scene["c.json"], scene["truths.json"], "--compare", "--rule", rule)
        assert "compared with" in alike.stdout and ("samples" in alike.stdout) == sampled


def test_a_sentence_says_which_model_is_better(scene: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    files = [scene["a.parquet"], scene["c.json"]]
    shown = call(*files, scene["truths.json"], "--compare", "--bootstrap", "50", "--report", page).stdout
    found = jobs.evaluate(files[0], scene["truths.json"], others=files[1:], compare=True, samples=50)
    own = found.comparisons[0].differences["AP"]
    better, worse = ("a", "c") if own.difference > 0 else ("c", "a")
    low, high = (own.low, own.high) if own.difference > 0 else (-own.high, -own.low)
    what = f"{better} is better than {worse}: AP" if low > 0 else f"Not decided: {better} has the higher AP,"
    said = f"{what} {abs(own.difference):+.3f} (95%: {low:+.3f} to {high:+.3f})"
    drawn = "50 samples of the images"
    if own.other_side == 0:
        end = f"{worse} is ahead in 0 of {drawn}"
    else:
        end = f"{worse} is ahead or equal in {own.other_side:.1%} of {drawn}"
    assert shown.index(said) < shown.index(end) < shown.index("samples against")
    assert f"{said}. {end}. Each figure of a" in page.read_text()
    without = "–: intervals are given for AP, AP50, AP75 only"
    assert without in shown and f"other sign. {without}." in page.read_text()
    shutil.copyfile(files[0], twin := tmp_path / "twin.parquet")
    same = call(files[0], twin, scene["truths.json"], "--compare", "--bootstrap", "5").stdout
    assert "have the same AP" in same and "100.0%" in same


def test_comparisons_that_cannot_be_made(scene: dict[str, Path], tmp_path: Path) -> None:
    a, b, truths = scene["a.parquet"], scene["b.parquet"], scene["truths.json"]
    for arguments, said in (
        ((a, truths, "--compare"), "expected two models or more to compare, got one model"),
        ((a, truths, "--by", "score", "--compare"), "column 'score'"),
        ((a, b, truths, "--by", "score"), "expected one table of detections by 'score', got 2"),
        ((a, a, truths), "twice: name each file once"),
        (
            (a, b, truths, "-o", f"{tmp_path}/parts/"),
            "expected detections of several models of a job without fragments",
        ),
        ((a, b, truths, "--rule", "coco,voc07"), "expected one rule with several tables"),
        ((a, truths, "--rule", "coco,voc07", "--compare"), "expected one rule with --compare"),
    ):
        result = call(*arguments)
        assert result.exit_code != 0
        assert said in " ".join(result.output.split()), result.output
    other = {"image_id": [1], "score": [0.5], "bbox": [[0.0, 0, 1, 1]]}
    with pytest.raises(InputError, match="category_id"):
        jobs.evaluate(a, truths, others=[other])


def test_names_of_models_tell_files_apart() -> None:
    def named(*paths: str) -> list[str]:
        return names_of_models(list(map(Source, paths)))

    assert named("runs/a/best.parquet", "runs/b/best.parquet") == ["a/best", "b/best"]
    assert named("one.json", "two.csv") == ["one", "two"]
    assert named("x.parquet", "x.json") == ["x.parquet", "x.json"]
