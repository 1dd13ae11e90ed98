"""Points assigned to truths: by naive matrices, in data sets, with ties, by any number of threads; what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import naive_points as naive

import fastbox
from fastbox import AnchorGrid, Boxes, PointGrid, PointRule
from fastbox.assign.point_rule import POINT_RULES
from fastbox.assign.result import Matches

SIZE, STRIDES, CLASSES = (72, 56), (8, 16, 32), 4
GRID, CORNERS = PointGrid(STRIDES), PointGrid(STRIDES, 0)
RANGES = [(-1, 12), (12, 24), (24, 1e8)]
FAMILIES = ("fcos", "tal", "tal-8.3", "yolo26-one-to-one", "tood", "yolox", "yolox-0.3", "rtmdet", "mmyolo-rtmdet")
ALL_CLASSES_COST = ("yolox", "yolox-0.3", "rtmdet")


def drawn(seed: int, n: int, *, coarse: bool = False) -> dict[str, Any]:
    """Draw truths, predictions of each point, scores and classes; coarse ones have many ties."""
    rng = np.random.default_rng(seed)
    xy, strides = naive.points(SIZE, STRIDES, 0.5)
    at, side = rng.uniform(-4, 70, (n, 2)), np.exp(rng.uniform(1, 4, (n, 2)))
    truths = np.concatenate([at - side / 2, at + side / 2], axis=1)
    away = rng.uniform(0.2, 3, (len(xy), 4)) * strides[:, None]
    boxes = np.concatenate([xy - away[:, :2], xy + away[:, 2:]], axis=1)
    scores = rng.uniform(0.001, 0.999, (len(xy), CLASSES))
    if coarse:
        truths, boxes, scores = np.round(truths / 8) * 8, np.round(boxes / 16) * 16, np.round(scores * 3 + 0.5) / 4.5
    made = {"truths": truths, "boxes": boxes, "scores": scores}
    return {name: one.astype(np.float32) for name, one in made.items()} | {"classes": rng.integers(0, CLASSES, n)}


def rule_of(name: str) -> Any:
    return PointRule.fcos(ranges=RANGES) if name == "fcos" else name


def matched(name: str, made: dict[str, Any], **options: Any) -> Matches:
    """Match drawn boxes by a rule, with logits where the rule wants them."""
    predictions = {key: made[key] for key in ("boxes", "scores", "classes")}
    if name == "fcos":
        predictions = {}
    elif "rtmdet" in name:
        predictions["scores"] = logits(made["scores"])
    grid = CORNERS if name in ("rtmdet", "mmyolo-rtmdet", "tood") else GRID
    options = {"size": SIZE, "sparse": True} | options
    return fastbox.match(grid, made["truths"], rule=rule_of(name), **options, **predictions)


def logits(scores: Any) -> Any:
    return np.log(scores / (1 - scores)).astype(np.float32)


def rows(found: Matches) -> naive.Found:
    assert found.anchors is not None
    return found.anchors.tolist(), found.truths.tolist()


SEEDS = st.integers(0, 10_000)
COUNTS = st.integers(0, 9)


@given(SEEDS, COUNTS, st.booleans(), st.sampled_from([("tal", 16, 16), ("tal-8.4.0", 8, 16), ("tal-8.3", 0, 0)]))
def test_tal_is_what_matrices_give(seed: int, n: int, coarse: bool, version: tuple[str, int, int]) -> None:
    made, (name, floor, to) = drawn(seed, n, coarse=coarse), version
    xy, _ = naive.points(SIZE, STRIDES, 0.5)
    wide = naive.widened(made["truths"], floor, to) if floor else made["truths"]
    expected, values = naive.tal(xy, candidate=naive.inside(xy, wide, 1e-9), **made)
    found = matched(name, made)
    assert rows(found) == expected
    np.testing.assert_allclose(found.values, values, rtol=0, atol=1e-6)
    assert found.positives is not None
    assert found.positives.tolist() == np.bincount(expected[1], minlength=n).tolist()


@given(SEEDS, COUNTS, st.booleans(), st.integers(1, 6))
@example(718, 9, True, 3)  # a point whose two truths do not overlap it goes to the first one, which does, with metric 0
def test_each_truth_keeps_topk2_points(seed: int, n: int, coarse: bool, kept: int) -> None:
    made = drawn(seed, n, coarse=coarse)
    xy, _ = naive.points(SIZE, STRIDES, 0.5)
    candidate = naive.inside(xy, naive.widened(made["truths"], 16, 16), 1e-9)
    expected, _ = naive.tal(xy, candidate=candidate, topk=7, topk2=kept, **made)
    predictions = {key: made[key] for key in ("boxes", "scores", "classes")}
    rule = PointRule.tal(7, topk2=kept)
    assert rows(fastbox.match(GRID, made["truths"], rule=rule, size=SIZE, sparse=True, **predictions)) == expected


@given(SEEDS, COUNTS, st.booleans())
def test_tood_is_what_matrices_give(seed: int, n: int, coarse: bool) -> None:
    made = drawn(seed, n, coarse=coarse)
    xy, _ = naive.points(SIZE, STRIDES, 0)
    assert rows(matched("tood", made)) == naive.tood(xy, **made)


@given(SEEDS, COUNTS, st.booleans(), st.booleans())
def test_simota_is_what_matrices_give(seed: int, n: int, coarse: bool, both: bool) -> None:
    made = drawn(seed, n, coarse=coarse)
    xy, strides = naive.points(SIZE, STRIDES, 0.5)
    radius, far = (2.5, 1e5) if both else (1.5, 1e6)
    expected = naive.simota(xy, strides, radius=radius, both=both, far=far, **made)
    assert rows(matched("yolox-0.3" if both else "yolox", made)) == expected


@given(SEEDS, COUNTS, st.booleans())
def test_rtmdet_is_what_matrices_give(seed: int, n: int, coarse: bool) -> None:
    made = drawn(seed, n, coarse=coarse)
    xy, strides = naive.points(SIZE, STRIDES, 0)
    expected = naive.rtmdet(xy, strides, made["truths"], made["boxes"], logits(made["scores"]), made["classes"])
    assert rows(matched("rtmdet", made)) == expected


@given(SEEDS, COUNTS, st.booleans(), st.sampled_from([0.0, 1.5]), st.sampled_from(["authors", "mmdet"]))
def test_fcos_is_what_matrices_give(seed: int, n: int, coarse: bool, radius: float, variant: str) -> None:
    truths = drawn(seed, n, coarse=coarse)["truths"]
    xy, strides = naive.points(SIZE, STRIDES, 0.5)
    limits = dict(zip(STRIDES, RANGES, strict=True))
    expected, candidate = naive.fcos(xy, strides, truths, radius, limits, variant == "authors")
    rule = PointRule.fcos(radius, RANGES, variant)
    found = fastbox.match(GRID, truths, rule=rule, size=SIZE, sparse=True)
    assert rows(found) == expected
    counts = fastbox.candidates(GRID, truths, rule=rule, size=SIZE)
    by_level = [candidate[strides == stride].sum(axis=0).tolist() for stride in STRIDES]
    assert counts.counts.T.tolist() == by_level
    alone = candidate & (candidate.sum(axis=1) == 1)[:, None]
    assert counts.shared.tolist() == (candidate.any(axis=0) & ~alone.any(axis=0)).tolist()


@given(SEEDS, st.integers(1, 9), st.sampled_from([1.0, 2.5, 15.0]))
def test_reach_counts_the_candidates_that_cover_a_truth(seed: int, n: int, reach: float) -> None:
    truths = drawn(seed, n)["truths"]
    xy, strides = naive.points(SIZE, STRIDES, 0.5)
    candidate = naive.inside(xy, truths, 1e-9)
    covers = candidate & (naive.distances(xy, truths).max(axis=0) <= (np.float32(reach) * strides)[:, None])
    found = fastbox.candidates(GRID, truths, rule="tal-8.3", size=SIZE, reach=reach)
    assert found.reach is not None
    assert found.reach.tolist() == covers.sum(axis=0).tolist()
    assert found.totals.tolist() == candidate.sum(axis=0).tolist()
    assert found.starved.tolist() == np.flatnonzero(~candidate.any(axis=0)).tolist()
    assert found.unreached.tolist() == np.flatnonzero(candidate.any(axis=0) & ~covers.any(axis=0)).tolist()


def dataset(name: str, sizes: list[int]) -> tuple[dict[str, Any], list[Matches]]:
    """Return drawn images as one data set, and the matches of each image by itself."""
    images = [drawn(seed, n) for seed, n in enumerate(sizes)]
    alone = [matched(name, one) for one in images]
    ids = np.repeat(np.arange(len(sizes)) * 3, sizes)
    points = np.repeat(np.arange(len(sizes)) * 3, len(images[0]["boxes"]))
    whole = {key: np.concatenate([one[key] for one in images]) for key in images[0]}
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    if 0 in sizes:
        whole["truths"] = Boxes(whole["truths"], offsets=offsets)
        whole["boxes"] = Boxes(whole["boxes"], offsets=np.arange(len(sizes) + 1) * len(images[0]["boxes"]))
    else:
        whole["truths"], whole["boxes"] = Boxes(whole["truths"], images=ids), Boxes(whole["boxes"], images=points)
    return whole, alone


@pytest.mark.parametrize("sizes", [[3, 5, 2], [0, 4, 0, 1]], ids=["ids", "empty images"])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_data_set_is_its_images(name: str, sizes: list[int], threads: Callable[[int], None]) -> None:
    whole, alone = dataset(name, sizes)
    for count in (1, 2):
        threads(count)
        found = matched(name, whole)
        assert np.diff(found.offsets).tolist() == [len(one.labels) for one in alone]
        for field in ("labels", "values", "anchors", "ious", "best", "candidates", "positives"):
            parts = [getattr(one, field) for one in alone]
            np.testing.assert_array_equal(getattr(found, field), np.concatenate(parts))
        shifts = np.repeat(np.concatenate([[0], np.cumsum(sizes)[:-1]]), np.diff(found.offsets))
        assert (found.truths - shifts).tolist() == [row for one in alone for row in one.truths.tolist()]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_any_number_of_threads_gives_the_same_bits(name: str, threads: Callable[[int], None]) -> None:
    whole, _ = dataset(name, [(seed * 7) % 40 for seed in range(60)])
    threads(1)
    one = matched(name, whole)
    threads(2)
    for field, first, second in zip(one._fields, one, matched(name, whole), strict=True):
        np.testing.assert_array_equal(first, second, err_msg=field)


@pytest.mark.parametrize("name", FAMILIES)
def test_dense_results_list_every_point(name: str) -> None:
    made = drawn(3, 5)
    sparse, dense = matched(name, made), matched(name, made, sparse=False)
    assert dense.anchors is None
    assert len(dense.labels) == GRID.count(SIZE)
    at = np.flatnonzero(dense.labels)
    np.testing.assert_array_equal(at, sparse.anchors)
    assert dense.ious is not None
    assert sparse.ious is not None
    for wide, narrow in ((dense.truths, sparse.truths), (dense.values, sparse.values), (dense.ious, sparse.ious)):
        np.testing.assert_array_equal(wide[at], narrow)
    assert (np.delete(dense.truths, at) == -1).all() and not np.delete(dense.values, at).any()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_first_of_equal_truths_takes_every_point(name: str) -> None:
    made = drawn(5, 1)
    made["truths"] = np.array([[10, 9, 41, 44]] * 3, np.float32)
    made["classes"] = np.array([1, 1, 1])
    found = matched(name, made)
    assert len(found.truths) and not found.truths.any()


@pytest.mark.parametrize("name", FAMILIES)
def test_invalid_boxes_and_scores_of_nan_are_left_out(name: str) -> None:
    made = drawn(7, 4)
    whole = matched(name, made)
    wider = made | {"truths": np.insert(made["truths"], 2, [[np.nan, 0, 9, 9], [30, 30, 20, 40]], axis=0)}
    wider["classes"] = np.insert(made["classes"], 2, [0, 1])
    found = matched(name, wider)
    assert rows(found) == (rows(whole)[0], [row + 2 * (row > 1) for row in rows(whole)[1]])
    assert np.isnan(found.best[2:4]).all()
    assert found.candidates is not None and not found.candidates[2:4].any()
    if name == "fcos":
        return
    broken, unknown = made["boxes"].copy(), made["scores"].copy()
    taken = rows(whole)[0][::2]
    broken[taken], unknown[taken, 0 if name in ALL_CLASSES_COST else slice(None)] = np.nan, np.nan
    without = matched(name, made | {"boxes": broken})
    assert not set(taken) & set(rows(without)[0])
    assert rows(matched(name, made | {"scores": unknown})) == rows(without)


@pytest.mark.parametrize("name", FAMILIES)
def test_float64_is_kept(name: str) -> None:
    made = {key: one.astype(np.float64) if one.dtype == np.float32 else one for key, one in drawn(9, 6).items()}
    found, single = matched(name, made), matched(name, drawn(9, 6))
    assert found.values.dtype == np.float64 and single.values.dtype == np.float32
    assert rows(found) == rows(single)


def test_scores_may_be_logits_and_products() -> None:
    made = drawn(11, 6)
    there = np.random.default_rng(0).uniform(0.1, 0.9, len(made["boxes"])).astype(np.float32)
    rooted = np.sqrt(made["scores"] * there[:, None])
    given = {"rule": "yolox", "size": SIZE, "sparse": True, "boxes": made["boxes"], "classes": made["classes"]}
    expected = rows(fastbox.match(GRID, made["truths"], scores=rooted, **given))
    products = fastbox.match(GRID, made["truths"], scores=made["scores"], objectness=there, **given)
    raw = {"scores": logits(made["scores"]), "objectness": logits(there), "logits": True}
    assert rows(products) == rows(fastbox.match(GRID, made["truths"], **raw, **given)) == expected
    given["rule"] = "tal"
    plain = fastbox.match(GRID, made["truths"], scores=made["scores"], **given)
    assert rows(fastbox.match(GRID, made["truths"], scores=logits(made["scores"]), logits=True, **given)) == rows(plain)


def test_images_may_have_sizes_of_their_own() -> None:
    truths = Boxes([[4, 4, 30, 30], [8, 8, 60, 50]], images=[1, 2])
    found = fastbox.candidates(GRID, truths, size=([32, 64], [32, 64]))
    for g, side in enumerate((32, 64)):
        alone = fastbox.candidates(GRID, truths[g : g + 1], size=side)
        np.testing.assert_array_equal(found.counts[g], alone.counts[0])


@pytest.mark.parametrize("name", sorted(POINT_RULES))
def test_every_preset_counts_and_describes_itself(name: str) -> None:
    rule = POINT_RULES[name]
    grid = PointGrid.preset(name) if name in fastbox.anchors.POINT_PRESETS else GRID
    if rule.family == "fcos":
        grid = PointGrid.preset("fcos")
    found = fastbox.candidates(grid, [[10, 10, 90, 90], [1, 1, 2, 2]], rule=name, size=(128, 128))
    assert repr(found).startswith("Candidates(2 truths, ")
    assert found.totals[0] > 0
    assert rule.name == name and rule.predicts is (rule.family != "fcos")


REFUSED = [
    (AnchorGrid.preset("yolov3"), {"rule": "tal"}, "expected a PointGrid with rule 'tal'.*a rule for anchors: atss"),
    ([[0, 0, 4, 4]], {"rule": "yolox"}, "expected a PointGrid with rule 'yolox'.*got list"),
    (GRID, {"rule": "atss"}, "expected a rule for points with a PointGrid, got 'atss'.*rtmdet"),
    (AnchorGrid.preset("yolov3"), {"rule": "ssd", "scores": 1}, "expected a rule for points with scores=, got 'ssd'"),
    (GRID, {"rule": "fcos"}, "expected a range for each of 3 levels, got 5"),
    (PointGrid.preset("fcos"), {"rule": "fcos", "boxes": []}, "expected truths alone with rule 'fcos', got boxes="),
    (GRID, {"rule": "tal"}, "got no boxes=, scores=, classes="),
    (GRID, {"rule": "tal", "ignore": [[0, 0, 1, 1]]}, "expected no ignore= with rule 'tal'"),
    (GRID, {"boxes": [[0, 0, 1, 1]]}, "expected 89 boxes, one for each point.*got 1: give all raw predictions"),
    (GRID, {"scores": [0.5]}, r"expected scores of shape \(89, classes\)"),
    (GRID, {"classes": [4, 0]}, "expected classes from 0 to 3, the columns of scores, got 4 at row 0"),
    (GRID, {"classes": [0.5, 0]}, "expected classes of integers"),
    (GRID, {"objectness": np.ones(89)}, "expected objectness= with a rule of YOLOX alone"),
    (GRID, {"rule": "yolox", "objectness": np.full(89, 2)}, "expected objectness from 0 to 1"),
    (GRID, {"rule": "rtmdet", "logits": False}, "expected logits with rule 'rtmdet'"),
    (GRID, {"size": None}, r"expected size=\(width, height\) with a grid, got none"),
]


@pytest.mark.parametrize(("grid", "options", "message"), REFUSED)
def test_what_does_not_fit_is_refused(grid: Any, options: dict[str, Any], message: str) -> None:
    made = drawn(0, 2)
    given = {"rule": "tal", "size": SIZE} | {key: made[key] for key in ("boxes", "scores", "classes")}
    if ("rule" in options and options["rule"] not in ("yolox", "rtmdet")) or list(options) == ["boxes"]:
        given = {"rule": "tal", "size": SIZE}
    if list(options) == ["boxes"]:
        given |= {"scores": [[0.5] * 4], "classes": made["classes"]}
    with pytest.raises((ValueError, TypeError), match=message):
        fastbox.match(grid, made["truths"], **given | options)


def test_wrong_grids_and_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a PointGrid with a rule for points, got AnchorGrid with 'tal'"):
        fastbox.candidates(AnchorGrid.preset("yolov3"), [[0, 0, 1, 1]], size=64)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected a PointGrid with a rule for points, got PointGrid with 'atss'"):
        fastbox.candidates(GRID, [[0, 0, 1, 1]], rule="atss", size=64)
    with pytest.raises(ValueError, match="expected a reach to look for, got none"):
        _ = fastbox.candidates(GRID, [[0, 0, 1, 1]], size=64).unreached
    with pytest.raises(ValueError, match=r"expected a preset of points of .*did you mean 'yolov8'"):
        PointGrid.preset("yolo8")
    for wrong in ({"strides": []}, {"strides": [8], "offset": 2}, {"strides": [0.5]}):
        with pytest.raises(ValueError, match="expected"):
            PointGrid(**wrong)
    for broken in ({"topk": 0}, {"topk2": 0}, {"alpha": -1}, {"floor": 8}, {"floor": "third"}, {"to": -1}):
        with pytest.raises(ValueError, match="expected"):
            PointRule.tal(**broken | ({"to": None} if "floor" in broken and broken["floor"] == 8 else {}))
    with pytest.raises(ValueError, match="expected ranges as pairs"):
        PointRule.fcos(ranges=[(1, 2, 3)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="expected a family of fcos"):
        PointRule("mine", "yolo")


def test_grids_are_equal_by_value() -> None:
    assert PointGrid((8, 16)) == PointGrid([8, 16]) != PointGrid((8, 16), 0)
    assert len({PointGrid((8,)), PointGrid((8,)), PointGrid((8,), fitted=True)}) == 2
    assert repr(PointGrid((8,), 0, fitted=True)) == "PointGrid(1 level, stride 8, offset 0.0, fitted)"
    xy, _ = naive.points((70, 41), STRIDES, 0.5)
    np.testing.assert_array_equal(GRID.points((70, 41)), xy)


def test_unknown_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="got score: did you mean scores"):
        fastbox.match(GRID, [[0, 0, 1, 1]], rule="tal", score=1)  # type: ignore[call-arg]
