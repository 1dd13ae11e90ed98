"""`fastbox suspects` on scenes of a few boxes, where each suspect is known: kinds, votes, inputs and outputs."""

from __future__ import annotations

import json
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

Row = tuple[int, int, tuple[float, float, float, float]]
DOG, CAT = 1, 2
HERE, THERE = (0.0, 0.0, 40.0, 40.0), (100.0, 100.0, 140.0, 140.0)
AWAY = (300.0, 300.0, 340.0, 340.0)


def truths(*rows: Row, **more: Any) -> pa.Table:
    """Truths of (image, class, corners)."""
    box = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    columns = {"image_id": pa.array([row[0] for row in rows], pa.int64())}
    columns |= {"category_id": pa.array([row[1] for row in rows], pa.int64())}
    columns |= {name: pa.array(box[:, k]) for k, name in enumerate(("xmin", "ymin", "xmax", "ymax"))}
    return pa.table(columns | {name: pa.array(values) for name, values in more.items()})


def detections(*rows: tuple[Any, ...]) -> pa.Table:
    """Detections of (image, class, corners, score), and the model of each if it has one."""
    found = truths(*(row[:3] for row in rows)).append_column("score", pa.array([row[3] for row in rows], pa.float64()))
    return found.append_column("model", pa.array([row[4] for row in rows])) if rows and len(rows[0]) > 4 else found


def suspects(found: pa.Table, wanted: pa.Table, folder: Path, **options: Any) -> list[dict[str, Any]]:
    out = folder / "out.parquet"
    jobs.suspects(found, wanted, out, **{"min_suspicion": 0.0} | options)
    return pq.read_table(out).to_pylist()


def brief(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["kind"], row["truth"], row["detection"], round(row["suspicion"], 6)) for row in rows]


WELL = (1, DOG, THERE, 0.9)  # a detection of a truth, so that the tables have a class in common


def test_a_truth_of_another_class(tmp_path: Path) -> None:
    rows = suspects(detections((1, CAT, HERE, 0.8), WELL), truths((1, DOG, HERE), (1, DOG, THERE)), tmp_path)
    assert brief(rows) == [("wrong_class", 0, 0, 0.8)]
    assert (rows[0]["truth_class"], rows[0]["suggested_class"], rows[0]["iou"], rows[0]["score"]) == (DOG, CAT, 1, 0.8)
    assert [rows[0][name] for name in ("xmin", "ymin", "xmax", "ymax")] == list(HERE)


def test_a_class_that_is_also_found_is_not_wrong(tmp_path: Path) -> None:
    found = detections((1, CAT, HERE, 0.99), (1, DOG, (0, 0, 40, 30), 0.4), WELL)
    assert suspects(found, truths((1, DOG, HERE), (1, DOG, THERE)), tmp_path) == []


def test_a_detection_of_its_own_truth_claims_nothing_about_another(tmp_path: Path) -> None:
    """A rider on a horse: each box overlaps the other truth, and has a truth of its own."""
    found, wanted = detections((1, DOG, HERE, 0.9), (1, CAT, (0, 0, 40, 36), 0.9)), ((1, DOG, HERE), (1, CAT, HERE))
    assert suspects(found, truths(*wanted), tmp_path) == []


def test_an_object_without_a_truth(tmp_path: Path) -> None:
    found = detections((1, CAT, AWAY, 0.7), (1, CAT, (300, 300, 340, 338), 0.6), WELL, (2, DOG, HERE, 0.5))
    rows = suspects(found, truths((1, DOG, THERE)), tmp_path)
    assert brief(rows) == [("missing", None, 0, 0.7), ("missing", None, 3, 0.5)]
    assert [row["image_id"] for row in rows] == [1, 2]
    assert (rows[0]["truth_class"], rows[0]["suggested_class"], rows[0]["models"]) == (None, CAT, 1)


@pytest.mark.parametrize(("iou", "kinds"), [(0.09, ["missing"]), (0.11, ["badly_placed"]), (0.49, ["badly_placed"])])
def test_a_truth_in_the_wrong_place(tmp_path: Path, iou: float, kinds: list[str]) -> None:
    shift = 40 * (1 - iou) / (1 + iou)  # of a square of 40 pixels
    found = detections((1, DOG, (shift, 0, 40 + shift, 40), 0.8), WELL)
    rows = suspects(found, truths((1, DOG, HERE), (1, DOG, THERE)), tmp_path)
    assert [row["kind"] for row in rows if row["kind"] != "spurious"] == kinds
    assert rows[0]["suspicion"] == pytest.approx(0.8) and rows[0]["iou"] == pytest.approx(iou)


def test_a_truth_that_nothing_is_near(tmp_path: Path) -> None:
    wanted = truths((1, DOG, HERE), (1, DOG, THERE), (2, DOG, THERE), (3, DOG, THERE))
    found = detections(*((image, DOG, THERE, 0.9) for image in (1, 2, 3)))
    (row,) = suspects(found, wanted, tmp_path)
    # Three of four truths are found, of this class and size as of all.
    assert (row["kind"], row["truth"], row["detection"], row["suggested_class"]) == ("spurious", 0, None, None)
    assert row["suspicion"] == pytest.approx(0.75) and row["xmin"] is None


def test_a_weak_detection_is_left_out(tmp_path: Path) -> None:
    wanted, found = truths((1, DOG, HERE), (1, DOG, THERE)), [WELL, (1, DOG, HERE, 0.2)]
    (row,) = suspects(detections(*found), wanted, tmp_path)
    assert row["kind"] == "spurious" and row["suspicion"] == pytest.approx(0.5)
    assert suspects(detections(*found), wanted, tmp_path, min_score=0.2) == []


def test_two_truths_of_one_object(tmp_path: Path) -> None:
    wanted = truths((1, DOG, (0, 0, 40, 38)), (1, DOG, HERE))
    (row,) = suspects(detections((1, DOG, HERE, 0.8)), wanted, tmp_path)
    assert (row["kind"], row["truth"], row["other"], row["detection"]) == ("duplicate", 0, 1, 0)
    assert row["iou"] == pytest.approx(0.95) and row["suspicion"] == pytest.approx(0.95 * 0.8)


def test_two_truths_with_a_detection_each_are_no_duplicates(tmp_path: Path) -> None:
    found = detections((1, DOG, HERE, 0.8), (1, DOG, (0, 0, 40, 38), 0.5))
    assert suspects(found, truths((1, DOG, (0, 0, 40, 38)), (1, DOG, HERE)), tmp_path) == []


def test_models_vote(tmp_path: Path) -> None:
    """Two say it is a cat, one that it is a dog, and one says nothing: the mean over the three that speak."""
    models = [(1, CAT, HERE, 0.9, "a"), (1, CAT, HERE, 0.6, "b"), (1, DOG, HERE, 0.7, "c"), (1, DOG, THERE, 0.9, "d")]
    (row,) = suspects(detections(*models), truths((1, DOG, HERE), (1, DOG, THERE)), tmp_path, by="model")
    assert brief([row]) == [("wrong_class", 0, 0, 0.5)] and row["models"] == 2


def test_models_that_suggest_different_classes_do_not_agree(tmp_path: Path) -> None:
    models = [(1, CAT, HERE, 0.9, "a"), (1, 3, HERE, 0.5, "b"), (1, 3, HERE, 0.5, "c"), (1, DOG, THERE, 0.9, "d")]
    (row,) = suspects(detections(*models), truths((1, DOG, HERE), (1, DOG, THERE)), tmp_path, by="model")
    assert (row["suggested_class"], row["models"]) == (3, 2) and row["suspicion"] == pytest.approx(1 / 3)


def test_a_model_weighs_by_its_recall_where_a_truth_may_be_missing(tmp_path: Path) -> None:
    """A silent model that finds every truth counts; one that finds none hardly counts."""
    wanted = truths(*((image, DOG, THERE) for image in range(1, 200)))
    seen = [(image, DOG, THERE, 0.9) for image in range(1, 200)]
    votes = {}
    for name, others in {"finds all": seen, "finds none": [(1, DOG, (500, 0, 540, 40), 0.9)]}.items():
        rows = [(1, DOG, AWAY, 0.8, "a"), *((*one, "a") for one in seen), *((*one, "b") for one in others)]
        rows.sort(key=lambda row: row[0])
        found = suspects(detections(*rows), wanted, tmp_path, by="model")
        votes[name] = next(row["suspicion"] for row in found if row["kind"] == "missing" and row["xmin"] == 300)
    assert votes["finds all"] == pytest.approx(0.4) and votes["finds none"] > 0.75


@pytest.mark.parametrize("flag", ["iscrowd", "ignore"])
def test_crowds_and_ignored_truths_and_detections_on_them_take_no_part(tmp_path: Path, flag: str) -> None:
    found = detections((1, DOG, (0, 0, 40, 36), 0.9), (1, CAT, HERE, 0.9), WELL, (1, DOG, (0, 0, 40, 30), 0.8))
    rows = suspects(found, truths((1, DOG, HERE), (1, DOG, THERE), **{flag: [1, 0]}), tmp_path)
    assert brief(rows) == [("missing", None, 1, 0.9)]
    named = truths((1, DOG, HERE), (1, DOG, THERE), odd=[1, 0])
    assert brief(suspects(found, named, tmp_path, **{f"{flag.removeprefix('is')}_column": "odd"})) == brief(rows)


def test_invalid_boxes_and_scores_of_nan_take_no_part_and_are_counted(tmp_path: Path) -> None:
    nan = float("nan")
    found = detections((1, CAT, HERE, nan), (1, CAT, (nan, 0, 9, 9), 0.9), WELL)
    wanted = truths((1, DOG, THERE), (1, DOG, (9, 9, 0, 0)))
    result = jobs.suspects(found, wanted, min_suspicion=0)
    assert result.ranked.counts == dict.fromkeys(result.ranked.counts, 0)
    assert result.to_dict()["invalid"] == {"detections": 1, "truths": 1, "scores": 1}


@pytest.mark.parametrize("found", [detections(), detections(WELL)])
@pytest.mark.parametrize("wanted", [truths(), truths((1, DOG, THERE))])
def test_nothing_on_a_side_is_a_result(tmp_path: Path, found: pa.Table, wanted: pa.Table) -> None:
    result = jobs.suspects(found, wanted, tmp_path / "o.parquet", min_suspicion=0, report=tmp_path / "p.html")
    kinds = ["missing"] if len(found) > len(wanted) else ["spurious"] if len(wanted) > len(found) else []
    assert pq.read_table(tmp_path / "o.parquet")["kind"].to_pylist() == kinds
    assert (result.detections, result.truths) == (len(found), len(wanted))
    assert (tmp_path / "p.html").exists()


def test_no_model_at_all_votes_0(tmp_path: Path) -> None:
    nothing = detections().append_column("model", pa.array([], pa.string()))
    (row,) = suspects(nothing, truths((1, DOG, THERE)), tmp_path, by="model")
    assert (row["kind"], row["suspicion"]) == ("spurious", 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score_column": "sure"}, "expected a column 'sure'"),
        ({"class_column": "sort"}, "expected a column 'sort'"),
        ({"by": "run"}, "expected a column 'run'"),
        ({"crowd_column": "many"}, "expected a column 'many'"),
        ({"ignore_column": "odd"}, "expected a column 'odd'"),
    ],
)
def test_an_unknown_column_is_refused(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        suspects(detections(WELL), truths((1, DOG, THERE)), tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("score", "fix"), [(87.5, "divide them by 100"), (-0.5, "scale them"), (900.0, "scale them")])
def test_scores_beyond_0_to_1_are_refused(tmp_path: Path, score: float, fix: str) -> None:
    with pytest.raises(InputError, match=rf"from 0 to 1 in column 'score', got {score:g} at row 1.*{fix}"):
        suspects(detections(WELL, (1, DOG, HERE, score)), truths((1, DOG, THERE)), tmp_path)


@pytest.mark.parametrize("name", ["min_score", "min_suspicion"])
def test_limits_beyond_0_to_1_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"expected {name} from 0 to 1, got 1\.5"):
        suspects(detections(WELL), truths((1, DOG, THERE)), tmp_path, **{name: 1.5})


def test_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected images that both tables have"):
        suspects(detections((8, DOG, HERE, 0.5)), truths((9, DOG, HERE)), tmp_path)
    with pytest.raises(InputError, match=r"expected classes that both tables have, got none: 1 in .* and 2 in "):
        suspects(detections(WELL), truths((1, CAT, THERE)), tmp_path)
    sides = detections((8, DOG, HERE, 0.5), (9, DOG, HERE, 0.5)), truths((10, DOG, HERE), (11, DOG, HERE))
    for side, table in zip("ab", sides, strict=True):
        pq.write_table(table, tmp_path / f"{side}.parquet", row_group_size=1)
    with pytest.raises(InputError, match="expected images that both tables have"):
        spread(jobs.suspects, tmp_path / "a.parquet", tmp_path / "b.parquet", fragment_rows=1)


def test_classes_are_text_too_and_have_names(tmp_path: Path) -> None:
    found, wanted = detections((1, CAT, HERE, 0.8), WELL), truths((1, DOG, HERE), (1, DOG, THERE))
    result = jobs.suspects(found, wanted, names={DOG: "dog", CAT: "cat"})
    assert [result.to_dict()["suspects"][0][f"{side}_class_name"] for side in ("truth", "suggested")] == ["dog", "cat"]
    named = [
        table.set_column(
            1, "category_id", pa.array([{DOG: "dog", CAT: "cat"}[k] for k in table["category_id"].to_pylist()])
        )
        for table in (found, wanted)
    ]
    (row,) = suspects(*named, tmp_path)
    assert (row["truth_class"], row["suggested_class"]) == ("dog", "cat")


def test_warnings_name_likely_mistakes(tmp_path: Path) -> None:
    found = detections(*((image, DOG, (5, 5, 45, 60), 0.9) for image in range(9)), (20, DOG, HERE, 0.4))
    wanted = truths(*((image, DOG, (5, 5, 45, 60)) for image in range(9)), *((k, DOG, HERE) for k in range(30, 50)))
    (said,) = jobs.suspects(found, wanted).to_dict()["warnings"]
    assert said.startswith("only 9 of 29 images with truths have detections")


def test_the_command_prints_counts_and_the_first_suspects(tmp_path: Path) -> None:
    pq.write_table(detections((1, CAT, HERE, 0.8), WELL, (1, DOG, AWAY, 0.75)), tmp_path / "d.parquet")
    pq.write_table(truths((1, DOG, HERE), (1, DOG, THERE)), tmp_path / "t.parquet")
    call = ["suspects", *(str(tmp_path / name) for name in ("d.parquet", "t.parquet"))]
    shown = CliRunner().invoke(main, [*call, "-o", str(tmp_path / "o.parquet"), "--report", str(tmp_path / "p.html")])
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert lines[0] == "2 suspects among 2 truths" and lines[1] == "1 image · 3 detections"
    assert "wrong_class 1 0.80 detections of another class, none of its own" in lines
    assert "wrong_class 1 0 1 → 2 0.80 0.80 1.00" in lines
    assert "missing 1 – 1 0.75 0.75 0.00" in lines
    page = (tmp_path / "p.html").read_text()
    assert "suspicion 0.80, rather 2, score 0.80, IoU 1.00" in page and page.count("<svg") >= 2
    told = json.loads(CliRunner().invoke(main, [*call, "--json", "--min-suspicion", "0.78"]).output)
    assert [(one["kind"], one["count"]) for one in told["kinds"] if one["count"]] == [("wrong_class", 1)]
    assert told["suspects"][0]["truth_box"] == list(HERE)


def test_the_result_is_a_table_and_shows_itself() -> None:
    result = jobs.suspects(detections((1, CAT, HERE, 0.8), WELL), truths((1, DOG, HERE), (1, DOG, THERE)))
    assert list(result.tables())[:3] == ["summary", "kinds", "suspects"]
    assert result.to_arrow().select(["kind", "truth"]).to_pylist() == [{"kind": "wrong_class", "truth": 0}]
    assert "wrong_class" in repr(result) and "wrong_class" in result._repr_html_()
