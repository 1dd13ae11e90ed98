"""`fastbox evaluate`: tables and COCO JSON in, figures, match types and one sentence out."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import calls
from support.paths import DATA as SAMPLE
from support.paths import SHARED

import fastbox
from fastbox import InputError, Params, Source, jobs


def tables(folder: Path, seed: int = 0, images: int = 30) -> tuple[Path, Path]:
    """Detections of two models and truths with crowds, some images without one or the other."""
    random = np.random.default_rng(seed)
    truths = np.sort(random.integers(0, images, 120))
    boxes = random.random((120, 4)) * [300, 200, 80, 80] + [0, 0, 4, 4]
    kinds = random.integers(1, 5, 120)
    taken = random.integers(0, 120, 300)
    found = pa.table(
        {
            "image_id": truths[taken],
            "category_id": np.where(random.random(300) < 0.8, kinds[taken], 9),
            "score": random.random(300).round(2),
            "model": random.choice(["one", "two"], 300),
            **dict(zip("xywh", (boxes[taken] + random.normal(0, 3, (300, 4))).T, strict=True)),
        }
    ).sort_by("image_id")
    wanted = {
        "image_id": truths,
        "category_id": kinds,
        "iscrowd": (random.random(120) < 0.1).astype(int),
        "area": boxes[:, 2] * boxes[:, 3] * 0.7,
        **dict(zip("xywh", boxes.T, strict=True)),
    }
    pq.write_table(found, folder / "dt.parquet", row_group_size=50)
    pq.write_table(pa.table(wanted), folder / "gt.parquet")
    return folder / "dt.parquet", folder / "gt.parquet"


def as_json(folder: Path, detections: Path, truths: Path) -> tuple[Path, Path]:
    """The same as COCO JSON, out of order."""
    found, wanted = (pq.read_table(path).to_pylist() for path in (detections, truths))
    results = [
        {"image_id": row["image_id"], "category_id": row["category_id"], "score": row["score"], "bbox": box(row)}
        for row in found
    ]
    annotations = [
        {"id": k, "bbox": box(row), **{name: row[name] for name in ("image_id", "category_id", "iscrowd", "area")}}
        for k, row in enumerate(wanted)
    ]
    instances = {
        "images": [{"id": k, "width": 400, "height": 300} for k in range(30)],
        "annotations": annotations[60:] + annotations[:60],
        "categories": [{"id": k, "name": f"thing {k}"} for k in range(1, 5)],
    }
    (folder / "dt.json").write_text(json.dumps(results))
    (folder / "gt.json").write_text(json.dumps(instances))
    return folder / "dt.json", folder / "gt.json"


def box(row: dict[str, Any]) -> list[float]:
    return [row[name] for name in "xywh"]


call = partial(calls.call, "evaluate")


@pytest.mark.parametrize("rows", [1, 40, 100_000])
def test_a_table_is_evaluated_as_its_arrays_are(tmp_path: Path, rows: int) -> None:
    detections, truths = tables(tmp_path)
    found = jobs.evaluate(detections, truths, rows=rows).evaluation
    a, b = (pq.read_table(path).to_pandas() for path in (detections, truths))
    whole = fastbox.evaluate(
        fastbox.Boxes(a[list("xywh")].to_numpy(), "xywh", images=a.image_id),
        a.score,
        fastbox.Boxes(b[list("xywh")].to_numpy(), "xywh", images=b.image_id),
        classes=a.category_id,
        truth_classes=b.category_id,
        crowd=b.iscrowd,
        areas=b.area,
    )
    assert found.stats() == whole.stats()
    assert found.classes == [1, 2, 3, 4, 9]
    assert found.errors().delta_ap == whole.errors().delta_ap


def test_json_gives_what_parquet_gives(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    found = jobs.evaluate(*as_json(tmp_path, detections, truths))
    assert found.stats == jobs.evaluate(detections, truths).stats
    assert found.to_dict()["by_class"][0]["name"] == "thing 1"


def test_detections_of_images_that_json_does_not_list_are_refused(tmp_path: Path) -> None:
    found, wanted = as_json(tmp_path, *tables(tmp_path))
    instances = json.loads(wanted.read_text())
    instances["images"] = instances["images"][:-1]
    instances["annotations"] = [one for one in instances["annotations"] if one["image_id"] != 29]
    wanted.write_text(json.dumps(instances))
    with pytest.raises(InputError, match=r"expected detections of images that .*gt\.json lists, got some of image 29"):
        jobs.evaluate(found, wanted)


def test_models_are_told_apart_by_a_column(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    found = jobs.evaluate(detections, truths, by="model").to_dict()
    every = pq.read_table(detections)
    for name in ("one", "two"):
        alone = tmp_path / f"{name}.parquet"
        pq.write_table(every.filter(pa.compute.equal(every["model"], name)), alone)
        one = jobs.evaluate(alone, truths).to_dict()
        assert found["models"][name]["stats"] == one["stats"]
        assert found["models"][name]["errors"] == one["errors"]
        assert found["models"][name]["matched"] == one["matched"]


def test_every_detection_is_written_with_its_verdict(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    out = tmp_path / "out.parquet"
    found = jobs.evaluate(detections, truths, out, by="model", params=Params(max_dets=[1, 2]), rows=20)
    table, given = pq.read_table(out), pq.read_table(detections)
    assert table.column_names == ["image_id", "detection", "model", "match_type", "truth", "iou"]
    assert table["detection"].to_pylist() == list(range(len(given)))
    assert table["image_id"].equals(given["image_id"]) and table["model"].equals(given["model"])
    errors = {name: found.evaluation.errors(name).counts.sum(axis=0) for name in ("one", "two")}
    for name, counts in errors.items():
        own = table.filter(pa.compute.equal(table["model"], name))
        match_types = own["match_type"].to_pylist()
        assert match_types.count("matched") == counts[0]
        assert match_types.count("background") == counts[4]
    targets, kinds = pq.read_table(truths), given["category_id"].to_pylist()
    wanted, images = targets["category_id"].to_pylist(), targets["image_id"].to_pylist()
    beyond = 0
    for row in table.to_pylist():
        beyond += row["match_type"] is None
        assert (row["iou"] is None) == (row["match_type"] is None)
        if row["match_type"] == "matched":
            assert wanted[row["truth"]] == kinds[row["detection"]]
            assert images[row["truth"]] == row["image_id"]
    assert beyond > 0


def test_columns_of_another_name_and_none(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    a, b = pq.read_table(detections), pq.read_table(truths)
    pq.write_table(a.rename_columns(["img", "label", "p", "m", *"xywh"]), tmp_path / "a.parquet")
    pq.write_table(b.rename_columns(["img", "label", "mob", "size", *"xywh"]), tmp_path / "b.parquet")
    pair = [Source(tmp_path / f"{name}.parquet", image="img") for name in "ab"]
    named = jobs.evaluate(*pair, score_column="p", class_column="label", crowd_column="mob", area_column="size")
    assert named.stats == jobs.evaluate(detections, truths).stats
    plain = jobs.evaluate(*pair, score_column="p", class_column="label")
    assert plain.stats == jobs.evaluate(detections, truths, crowd_column=None, area_column=None).stats
    assert plain.stats != named.stats


def test_an_area_that_is_null_is_width_times_height(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    wanted = pq.read_table(truths)
    nothing = pa.nulls(len(wanted), pa.float64())
    pq.write_table(wanted.set_column(wanted.schema.get_field_index("area"), "area", nothing), truths)
    assert jobs.evaluate(detections, truths).stats == jobs.evaluate(detections, truths, area_column=None).stats


@pytest.mark.jit
def test_the_summary_is_json_and_holds_the_twelve(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    result = call(detections, truths, "--json", "--bootstrap", 20, "--seed", 3)
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["stats"] == jobs.evaluate(detections, truths).evaluation.stats()
    low, high = found["intervals"]["AP"]
    assert low <= found["stats"]["AP"] <= high
    again = json.loads(call(detections, truths, "--json", "--bootstrap", 20, "--seed", 3).stdout)
    assert again == found
    assert sum(found["matched"]["metrics"]["iou"]["histogram"]["counts"]) == found["errors"]["counts"]["matched"]
    assert found["matched"]["by_size"]["all"]["pairs"] == found["errors"]["counts"]["matched"]


def test_thresholds_ranges_and_counts_come_from_the_command_line(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    options = ("--iou-thresholds", "0.3:0.7:0.1", "--areas", "all:0-1e10,tiny:0-500", "--max-dets", "5,2")
    found = json.loads(call(detections, truths, *options, "--class-agnostic", "--json").stdout)
    rules = found["rules"]
    assert rules["iou_thresholds"] == np.linspace(0.3, 0.7, 5).tolist()
    assert rules["max_dets"] == [2, 5] and rules["area_ranges"]["tiny"] == [0, 500]
    assert list(found["stats"]) == ["AP", "AP50", "AP75", "AP_tiny", "AR2", "AR5", "AR_tiny"]
    assert found["stats"]["AP75"] == -1 and rules["class_agnostic"]


@pytest.mark.jit
@pytest.mark.parametrize("width", [80, 130])
def test_what_a_person_sees(tmp_path: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    detections, truths = as_json(tmp_path, *tables(tmp_path))
    text = call(detections, truths, "--bootstrap", 10).stdout
    assert text.startswith("AP 0.")
    assert "30 images" in text and "thing 3" in text and "classification" in text and "10 samples" in text
    many = call(tmp_path / "dt.parquet", tmp_path / "gt.parquet", "--by", "model").stdout
    assert many.startswith("2 models by model") and "missed" in many
    assert "[bold]" not in text + many


def test_names_from_the_data_are_text_and_no_markup(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    table = pq.read_table(detections)
    names = pa.array(["[red]one[/red]\x1b[31m" if name == "one" else "x" * 300 for name in table["model"].to_pylist()])
    pq.write_table(table.set_column(table.schema.get_field_index("model"), "model", names), detections)
    text = call(detections, truths, "--by", "model").stdout
    assert "[red]one[/red]" in text and "\x1b" not in text and "…" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--iou-thresholds", "a"), "expected numbers such as 0.5,0.75 or 0.5:0.95:0.05, got 'a'"),
        (("--iou-thresholds", "0.5:0.9:0"), "expected numbers such as"),
        (("--iou-thresholds", "nan"), "expected thresholds of IoU that are numbers"),
        (("--iou-thresholds", "50,75"), "at most 1, got 50,75: as shares of 1 they are 0.5,0.75"),
        (("--iou-thresholds", "0.5:0.9:0.3"), "expected numbers such as"),
        (("--iou-thresholds", "0.9:0.5:0.1"), "expected numbers such as"),
        (("--iou-thresholds", "0:1:1e-9"), "expected numbers such as"),
        (("--max-dets", "-1,100"), "expected max_dets to be whole numbers of at least 1"),
        (("--areas", "all:0-1,all:5-6"), "expected ranges such as all:0-1e10"),
        (("--max-dets", "x"), "expected whole numbers such as 1,10,100"),
        (("--max-dets", "0"), "expected max_dets to be whole numbers of at least 1"),
        (("--areas", "all"), "expected ranges such as all:0-1e10"),
        (("--areas", "all:9-1"), "expected a range of areas from low to high"),
        (("--areas", "all:-9-1"), "0 or more, got -9 to 1"),
        (("--areas", ":0-1"), "expected ranges such as all:0-1e10"),
        (("--iou-thresholds", "0.5,75"), "at most 1, got 0.5,75: give shares of 1"),
        (("--iou-thresholds", "1.01"), "at most 1, got 1.01: as shares of 1 they are 0.0101"),
        (("--by", "nothing"), "nothing"),
        (("--score-column", "model"), "expected numbers in column 'model'"),
        (("--crowd-column", "mob"), "mob"),
        (("--class-column", "score"), "score"),
    ],
)
def test_what_can_not_be_is_said_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = call(*tables(tmp_path), *arguments, "-o", tmp_path / "out.parquet")
    assert result.exit_code == 2
    assert message in result.stderr and result.stdout == ""
    assert not (tmp_path / "out.parquet").exists()


def test_limits_of_areas_may_have_exponents(tmp_path: Path) -> None:
    rules = json.loads(call(*tables(tmp_path), "--areas", "all:1e-3-1e+10,few: 5e2 - 1E3", "--json").stdout)["rules"]
    assert rules["area_ranges"] == {"all": [0.001, 1e10], "few": [500.0, 1000.0]}


@pytest.mark.jit
def test_a_range_of_areas_without_end_is_null_in_json(tmp_path: Path) -> None:
    given = *tables(tmp_path), "--areas", "all:0-inf,rest:900-inf"
    found = json.loads(call(*given, "--json").stdout)
    assert found["rules"]["area_ranges"] == {"all": [0.0, None], "rest": [900.0, None]}
    assert found["stats"]["AP"] == json.loads(call(*given[:2], "--json").stdout)["stats"]["AP"]
    assert "areas: rest from 30² px on" in call(*given, "--report", tmp_path / "page.html").stdout
    assert "900 and more" in (tmp_path / "page.html").read_text()


@pytest.mark.jit
def test_thresholds_of_a_grid_have_their_figures_and_curves(tmp_path: Path) -> None:
    """Of 0.05:0.95:0.05 the tenth is 0.5 but for the last bit."""
    paths = tables(tmp_path)
    usual = jobs.evaluate(*paths).stats[None]
    for grid, name in (("0.05:0.95:0.05", "AP50"), ("0.1:0.95:0.05", "AP75")):
        found = json.loads(call(*paths, "--iou-thresholds", grid, "--bootstrap", 2, "--json").stdout)
        assert found["stats"][name] == usual[name] > 0
        assert all(one[name] >= 0 for one in found["by_class"] if one["truths"])
        assert found["intervals"][name][0] is not None
    close = json.loads(call(*paths, "--iou-thresholds", "0.50001,0.50002", "--json").stdout)
    assert list(close["curves"]["precision"]) == ["0.50001", "0.50002"] and close["stats"]["AP50"] == -1


@pytest.mark.parametrize("name", ["image_id", "detection", "match_type", "truth", "iou"])
def test_models_are_not_written_under_a_name_that_is_taken(tmp_path: Path, name: str) -> None:
    detections, truths = tables(tmp_path)
    table = pq.read_table(detections)
    if name != "image_id":
        pq.write_table(table.append_column(name, table["model"]), detections)
    assert jobs.evaluate(detections, truths, by=name).stats
    for out in ("out.parquet", "parts/"):
        result = call(detections, truths, "--by", name, "-o", f"{tmp_path}/{out}")
        assert result.exit_code == 2 and f"got {name!r}: rename it" in result.stderr
    assert not (tmp_path / "out.parquet").exists()


def test_an_output_that_is_an_input_is_refused(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    before = truths.read_bytes()
    with pytest.raises(InputError, match="choose another output path"):
        jobs.evaluate(detections, truths, truths)
    assert truths.read_bytes() == before
    found, wanted = as_json(tmp_path, detections, truths)
    with pytest.raises(InputError, match="choose another output path"):
        jobs.evaluate(found, wanted, wanted)


def test_detections_without_a_score_are_refused_and_those_out_of_order_sorted(tmp_path: Path) -> None:
    detections, truths = tables(tmp_path)
    table = pq.read_table(detections)
    pq.write_table(table.slice(100).append_column("k", pa.nulls(len(table) - 100)), tmp_path / "a.parquet")
    pq.write_table(pa.concat_tables([table.slice(150), table.slice(0, 150)]), tmp_path / "b.parquet")
    found = jobs.evaluate(tmp_path / "b.parquet", truths)
    assert found.inputs[0]["sorted_in"] == "memory"
    assert found.stats == jobs.evaluate(detections, truths).stats
    scores = pa.array([None, *table["score"].to_pylist()[1:]])
    pq.write_table(table.set_column(2, "score", scores), tmp_path / "c.parquet")
    with pytest.raises(InputError, match="expected a score in column 'score', got a null at row 0"):
        jobs.evaluate(tmp_path / "c.parquet", truths)
    for name in ("samples", "seed"):
        with pytest.raises(ValueError, match=f"expected {name} to be a whole number, 0 or more, got -1"):
            jobs.evaluate(detections, truths, **{name: -1})
        for wrong in (2.5, None, True):
            with pytest.raises(TypeError, match=f"expected {name} as a whole number, got {wrong}"):
                jobs.evaluate(detections, truths, **{name: wrong})
    with pytest.raises(TypeError, match="expected params as a Params, got"):
        jobs.evaluate(detections, truths, params={"max_dets": [1]})


def test_the_sample_says_what_the_readme_says() -> None:
    found = jobs.evaluate(SAMPLE / "detections.parquet", SAMPLE / "truths.parquet")
    assert found.to_dict()["images"] == 200


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_cocos_own_example_has_the_published_figures() -> None:
    found = jobs.evaluate(SHARED / "instances_val2014_fakebbox100_results.json", SHARED / "instances_val2014_100.json")
    published = [0.505, 0.697, 0.573, 0.586, 0.519, 0.501, 0.387, 0.594, 0.595, 0.640, 0.566, 0.564]
    assert [round(value, 3) for value in found.stats[None].values()] == published


@pytest.mark.jit
@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_twelve_models_have_pycocotools_figures() -> None:
    expected = json.loads((SHARED / "cocoeval_figures.json").read_text())
    found = jobs.evaluate(
        SHARED / "coco_val2017_dets_12models.parquet", SHARED / "coco_val2017_gt.parquet", by="run"
    ).stats
    for run, figures in expected.items():
        assert [round(value, 6) for value in found[run].values()] == figures["coco_val2017_gt.parquet"]
