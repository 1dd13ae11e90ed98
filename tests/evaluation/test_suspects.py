"""Suspects against a loop over truths, detections and models, and what makes no difference to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.suspects import Rows, naive

import fastbox
from fastbox import Boxes, jobs
from fastbox.evaluation.suspects.recalls import Recalls, sizes_of
from fastbox.evaluation.suspects.votes import KINDS

LEAST = 0.3
CORNERS = ("xmin", "ymin", "xmax", "ymax")
seeds = st.integers(0, 2**32 - 1)


def scene(seed: int, models: int = 3) -> tuple[Rows, Rows]:
    """Draw truths with mistakes in a few images, and detections of some models, rows in any order."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(0, 14))
    image, kind = rng.integers(0, 4, m), rng.integers(0, 3, m)
    corner, sides = rng.uniform(0, 60, (m, 2)), rng.uniform(4, 40, (m, 2))
    again = rng.permutation(m)[: m // 2]
    real = np.hstack((corner, corner + sides))
    near = rng.integers(0, m, int(rng.integers(0, 40))) if m else np.zeros(0, np.int64)
    found = real[near] + rng.normal(0, 3, (len(near), 4)) + np.tile(rng.normal(0, 4, (len(near), 2)), 2)
    far = rng.uniform(0, 80, (4, 2))
    found = np.vstack((found, np.hstack((far, far + rng.uniform(4, 30, (4, 2))))))
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    shifted = rng.random(m) < 0.2
    shown = real + np.tile(shifted[:, None] * sides * 0.4, 2)
    shown = np.vstack((shown, real[again] + rng.normal(0, 1, (len(again), 4))))
    kinds = np.where(rng.random(m) < 0.2, rng.integers(0, 3, m), kind)
    # A truth of each class that is found: the tables always have an image and all classes in common.
    sure = [np.array([k * 100.0, 0, k * 100 + 30, 30]) for k in range(3)]
    truths = {
        "image_id": [*image.tolist(), *image[again].tolist(), 7, 7, 7],
        "category_id": [*kinds.tolist(), *kinds[again].tolist(), 0, 1, 2],
        "box": [*shown, *sure],
        "iscrowd": [*(rng.random(m + len(again)) < 0.1).tolist(), False, False, False],
        "ignore": [*(rng.random(m + len(again)) < 0.1).tolist(), False, False, False],
    }
    n = len(found) + 3
    own = np.where(rng.random(len(near)) < 0.8, kind[near], 2)
    detections = {
        "image_id": [*image[near].tolist(), *rng.integers(0, 5, 4).tolist(), 7, 7, 7],
        "category_id": [*own.tolist(), *rng.integers(0, 3, 4).tolist(), 0, 1, 2],
        "box": [*found, *(np.add(box, [0, 0, 0, 2]) for box in sure)],
        "score": (rng.permutation(n) / n + rng.uniform(0, 1 / n, n)).tolist(),
        "model": [f"m{number}" for number in rng.integers(0, models, n)],
    }
    return detections, truths


def ordered(rows: Rows, order: Any) -> Rows:
    return {name: [column[row] for row in order] for name, column in rows.items()}


def by_image(rows: Rows) -> Rows:
    return ordered(rows, np.argsort(rows["image_id"], kind="stable"))


def table(rows: Rows) -> pa.Table:
    box = np.array(rows["box"], np.float64).reshape(-1, 4)
    plain = {name: column for name, column in rows.items() if name not in ("box", "model")}
    types = {"image_id": pa.int64(), "category_id": pa.int64(), "score": pa.float64()}
    made = {name: pa.array(column, types.get(name, pa.bool_())) for name, column in plain.items()}
    made |= {corner: pa.array(box[:, place]) for place, corner in enumerate(CORNERS)}
    return pa.table(made | ({"model": pa.array(rows["model"], pa.string())} if "model" in rows else {}))


def found_in(detections: Rows, truths: Rows, folder: Path, **options: Any) -> list[dict[str, Any]]:
    given = {"by": "model", "min_score": LEAST, "min_suspicion": 0.0} | options
    out = folder / "suspects.parquet"
    jobs.suspects(table(detections), table(truths), out, **given)
    return pq.read_table(out).to_pylist()


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    """A row without its suspicion, which may differ in its last bits."""
    kind = row["suggested_class"] if row["kind"] in ("wrong_class", "missing") else None
    return row["kind"], row["truth"], row["detection"], row["models"], kind


def compared(detections: Rows, truths: Rows, folder: Path, **options: Any) -> int:
    """Compare the suspects of a scene with those of the loop; return their number."""
    rows = found_in(detections, truths, folder, **options)
    expected = {(one[0], one[1], one[2], one[4], one[5]): one[3] for one in naive(detections, truths, LEAST)}
    assert {told(row) for row in rows} == set(expected)
    assert len(rows) == len(expected)
    for row in rows:
        assert row["suspicion"] == pytest.approx(expected[told(row)], abs=1e-12) and 0 <= row["suspicion"] <= 1
    return len(rows)


@given(seeds)
def test_suspects_are_those_of_a_loop(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    detections, truths = (by_image(rows) for rows in scene(seed))
    compared(detections, truths, tmp_path_factory.mktemp("loop"))


def test_the_scenes_have_suspects_of_every_kind(tmp_path: Path) -> None:
    kinds: dict[str, int] = dict.fromkeys(KINDS, 0)
    for seed in range(40):
        for kind, *_ in naive(*(by_image(rows) for rows in scene(seed)), LEAST):
            kinds[kind] += 1
    assert min(kinds.values()) >= 10, kinds


@given(seeds)
def test_the_order_of_rows_makes_no_difference(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder, rng = tmp_path_factory.mktemp("order"), np.random.default_rng(seed)
    sides = [by_image(rows) for rows in scene(seed)]
    orders = [rng.permutation(len(rows["image_id"])) for rows in sides]
    plain = found_in(*sides, folder)
    moved = found_in(*(ordered(rows, order) for rows, order in zip(sides, orders, strict=True)), folder)
    for row in moved:
        for name, order in (("detection", orders[0]), ("truth", orders[1]), ("other", orders[1])):
            row[name] = None if row[name] is None else int(order[row[name]])

    def key(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["image_id"], row["kind"], row["truth"] or 0, row["detection"] or 0

    for one, other in zip(sorted(plain, key=key), sorted(moved, key=key), strict=True):
        assert one.pop("suspicion") == pytest.approx(other.pop("suspicion"), abs=1e-12)
        assert one == other


@given(seeds, st.integers(1, 12))
def test_chunks_make_no_difference(tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    sides = [by_image(side) for side in scene(seed)]
    assert found_in(*sides, folder) == found_in(*sides, folder, rows=rows)


@given(seeds)
def test_blocks_of_cells_make_no_difference(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("cells")
    sides = [by_image(side) for side in scene(seed)]
    whole = found_in(*sides, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastbox.evaluation.suspects.survey.CELLS", 4)
        assert found_in(*sides, folder) == whole


def test_threads_make_no_difference(tmp_path: Path, threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.parallel.SMALL", 1)
    sides = [by_image(side) for side in scene(7)]
    threads(1)
    alone = found_in(*sides, tmp_path)
    threads(3)
    assert found_in(*sides, tmp_path) == alone and alone


@given(seeds, st.floats(0, 1))
def test_suspicion_rises_with_the_score_of_the_detection(
    tmp_path_factory: pytest.TempPathFactory, seed: int, share: float
) -> None:
    """Of one model: whatever a detection claims, a higher score raises its suspicion as much or more."""
    folder = tmp_path_factory.mktemp("scores")
    detections, truths = (by_image(rows) for rows in scene(seed, models=1))
    for row in found_in(detections, truths, folder):
        at = row["detection"]
        if at is None:
            continue
        before = detections["score"][at]
        higher = {**detections, "score": list(detections["score"])}
        higher["score"][at] = before + share * (1 - before)
        again = [one for one in found_in(higher, truths, folder) if told(one) == told(row)]
        assert len(again) == 1 and again[0]["suspicion"] >= row["suspicion"] - 1e-12
        return


@given(seeds)
def test_every_suspicion_is_between_0_and_1_and_the_least_one_is_kept(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("least")
    sides = [by_image(side) for side in scene(seed)]
    every, some = found_in(*sides, folder), found_in(*sides, folder, min_suspicion=0.4)
    assert some == [row for row in every if row["suspicion"] >= 0.4]


@given(seeds)
def test_arrays_have_the_suspects_of_tables(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    detections, truths = (by_image(rows) for rows in scene(seed))
    found = fastbox.suspects(
        Boxes(np.array(detections["box"]), images=detections["image_id"]),
        detections["score"],
        Boxes(np.array(truths["box"]), images=truths["image_id"]),
        classes=detections["category_id"],
        truth_classes=truths["category_id"],
        crowd=truths["iscrowd"],
        ignore=truths["ignore"],
        models=detections["model"],
        min_suspicion=0,
    )
    rows = found_in(detections, truths, tmp_path_factory.mktemp("arrays"))
    assert (np.diff(found.suspicion) <= 0).all()
    names = ("kind", "truth", "detection", "other", "suspicion", "models")
    arrays = zip(*(getattr(found, name).tolist() for name in names), strict=True)
    tables = [tuple(-1 if row[name] is None else row[name] for name in names) for row in rows]
    assert sorted(arrays) == sorted(tables)


def test_arrays_are_refused_as_tables_are() -> None:
    boxes, kinds = [[0, 0, 9, 9]] * 2, {"classes": [1, 1], "truth_classes": [1, 1]}
    with pytest.raises(ValueError, match="expected scores from 0 to 1, got 50 at row 1"):
        fastbox.suspects(boxes, [0.5, 50], boxes, **kinds)
    with pytest.raises(ValueError, match="expected min_score from 0 to 1, got 2"):
        fastbox.suspects(boxes, [0.5, 0.5], boxes, **kinds, min_score=2)
    empty = fastbox.suspects([], [], [], classes=[], truth_classes=[])
    assert [len(column) for column in vars(empty).values()] == [0] * 7


def test_recalls_of_parts_add_up() -> None:
    rng = np.random.default_rng(3)
    first, second = Recalls.zeros(["a", "b"], [1, 4]), Recalls.zeros(["b", "c"], [2, 4])
    for part in (first, second):
        part.truths[:] = rng.integers(5, 9, part.truths.shape)
        part.found[:] = rng.integers(0, 5, part.found.shape)
    both = first + second
    assert (both.models, both.classes) == (("a", "b", "c"), (1, 2, 4))
    np.testing.assert_array_equal(both.truths, [first.truths[0], second.truths[0], first.truths[1] + second.truths[1]])
    np.testing.assert_array_equal(
        both.found[1], [first.found[1, 0], second.found[0, 0], first.found[1, 1] + second.found[0, 1]]
    )
    assert not both.found[0, 1].any() and not both.found[2, 0].any()


def test_sizes_are_octaves_of_the_side() -> None:
    sides = np.array([0.5, 1.9, 2, 3.9, 4, 31, 32, 2047, 2048, 1e9])
    assert sizes_of(sides**2).tolist() == [0, 0, 1, 1, 2, 4, 5, 10, 11, 11]
    assert sizes_of(np.array([np.nan, -4.0])).tolist() == [11, 0]


@pytest.mark.parametrize("models", [1, 3])
def test_shares_are_recalls_and_those_of_few_truths_are_near_those_of_all(models: int) -> None:
    found = Recalls.zeros(list(range(models)), [5, 6])
    found.truths[0, 4], found.found[0, 0, 4] = 1000, 900
    shares = found.shares()
    assert shares.shape == (models, 2, 12)
    assert shares[0, 0, 4] == pytest.approx(0.9, abs=1e-3) and shares[0, 1, 4] == pytest.approx(0.9, abs=1e-3)
    assert not shares[1:].any()
    assert Recalls().shares().shape == (1, 0, 12)
