"""The accessor of polars and pandas: frames in any order give what plain loops over their rows give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox import InputError

NAMES = ("polars", "pandas")
BOXES = ("xmin", "ymin", "xmax", "ymax")


@pytest.fixture(params=NAMES)
def library(request: pytest.FixtureRequest) -> Any:
    module = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    __import__(f"fastbox.{request.param}")
    return module


def columns(seed: int, rows: int = 60) -> dict[str, Any]:
    """Boxes of a few images and classes in no order, with one invalid box."""
    draw = np.random.default_rng(seed)
    low = draw.uniform(0, 20, (rows, 2)).astype(np.float32)
    high = low + draw.uniform(1, 20, (rows, 2)).astype(np.float32)
    high[3, 0] = low[3, 0] - 1
    sides = dict(zip(BOXES, (*low.T, *high.T), strict=True))
    labels = {"category_id": draw.integers(1, 3, rows), "score": draw.permutation(rows) / rows}
    return {"image_id": draw.integers(0, 5, rows), **sides, **labels}


def corners(given: dict[str, Any]) -> Any:
    return np.stack([given[name] for name in BOXES], axis=1)


def as_dict(frame: Any) -> dict[str, list[Any]]:
    return {name: frame[name].to_list() for name in frame.columns}


def naive(a: dict[str, Any], b: dict[str, Any], metric: str = "iou") -> Any:
    """The value of each row of a with each row of b; nan for those of different images."""
    values = fastbox.pairwise(corners(a), corners(b), metric=metric)
    values[a["image_id"][:, None] != b["image_id"]] = np.nan
    return values


@pytest.mark.parametrize("metric", ["iou", "giou", "l1"])
def test_best_is_the_best_row_of_the_same_image(library: Any, metric: str) -> None:
    a, b = columns(1), columns(2, 40)
    frame, other = library.DataFrame(a), library.DataFrame(b)
    found = frame.fastbox.best(other, metric=metric)
    assert list(found.columns) == [*frame.columns, "other_row", metric]
    assert as_dict(found[list(frame.columns)]) == as_dict(frame)
    values = naive(a, b, metric) * (-1 if metric == "l1" else 1)
    for row, line in enumerate(values):
        best = -1 if np.isnan(line).all() else int(np.nanargmax(line))
        assert found["other_row"][row] == best
        value = found[metric][row]
        assert np.isnan(value) if best < 0 else value == abs(line[best]) or value == line[best]
    assert str(found[metric].dtype).lower() == "float32" and str(found["other_row"].dtype).lower() == "int64"
    assert found["other_row"][3] == -1


def test_top_lists_pairs_by_row_and_rank(library: Any) -> None:
    a, b = columns(3), columns(4, 40)
    found = as_dict(library.DataFrame(a).fastbox.top(library.DataFrame(b), 3))
    wanted = []
    for row, line in enumerate(naive(a, b)):
        order = [col for col in np.argsort(-line, kind="stable") if not np.isnan(line[col])][:3]
        wanted += [(row, rank, col, float(line[col])) for rank, col in enumerate(order)]
    assert list(found) == ["row", "rank", "other_row", "iou"]
    assert list(zip(*found.values(), strict=True)) == wanted


@pytest.mark.parametrize("alone", [True, False])
def test_pairs_are_all_that_reach_the_threshold(library: Any, alone: bool) -> None:
    a, b = columns(5), columns(6, 40)
    other = () if alone else (library.DataFrame(b),)
    found = as_dict(library.DataFrame(a).fastbox.pairs(*other, threshold=0.2))
    values = naive(a, a if alone else b)
    rows, cols = np.nonzero(np.triu(values >= np.float32(0.2), 1) if alone else values >= np.float32(0.2))
    assert len(rows) > 5
    assert found == {"row": rows.tolist(), "other_row": cols.tolist(), "iou": values[rows, cols].tolist()}


def test_aligned_compares_row_with_row(library: Any) -> None:
    a, b = columns(7), columns(8)
    found = library.DataFrame(a).fastbox.aligned(library.DataFrame(b), metric="ciou")
    assert np.array_equal(found["ciou"], fastbox.aligned(corners(a), corners(b), metric="ciou"), equal_nan=True)
    with pytest.raises(ValueError, match="as many boxes in a as in b, got 60 and 9"):
        library.DataFrame(a).fastbox.aligned(library.DataFrame(columns(8, 9)))


@pytest.mark.parametrize("class_agnostic", [True, False])
def test_nms_keeps_rows_in_their_order(library: Any, class_agnostic: bool) -> None:
    given = columns(9)
    kept: list[int] = []
    values = naive(given, given)
    for row in np.argsort(-given["score"], kind="stable"):
        near = [one for one in kept if class_agnostic or given["category_id"][one] == given["category_id"][row]]
        if not np.isnan(values[row, row]) and not any(values[row, one] > 0.3 for one in near):
            kept.append(int(row))
    frame = library.DataFrame({"row": np.arange(60), **given})
    found = frame.fastbox.nms(iou_threshold=0.3, class_agnostic=class_agnostic)
    assert found["row"].to_list() == sorted(kept) and len(kept) < 55
    assert list(found.columns) == list(frame.columns)
    assert [str(one) for one in found.dtypes] == [str(one) for one in frame.dtypes]


def test_matches_are_those_of_each_image_alone(library: Any) -> None:
    a, b = columns(10), columns(11, 40)
    crowd = np.arange(40) % 7 == 0
    found = library.DataFrame(a).fastbox.match_greedy(library.DataFrame({**b, "iscrowd": crowd}), threshold=0.2)
    for image in range(5):
        mine, its = (np.flatnonzero(one["image_id"] == image) for one in (a, b))
        alone = fastbox.match_greedy(
            corners(a)[mine],
            a["score"][mine],
            corners(b)[its],
            threshold=0.2,
            classes=a["category_id"][mine],
            truth_classes=b["category_id"][its],
            crowd=crowd[its],
        )
        wanted = np.append(its, -1)[alone.truths]
        assert [found["other_row"].to_list()[row] for row in mine] == wanted.tolist()
        assert np.array_equal(np.asarray(found["iou"])[mine], alone.values, equal_nan=True)
    assert (np.asarray(found["other_row"]) >= 0).sum() > 5


def test_evaluate_returns_a_table_of_the_job(library: Any) -> None:
    detections, truths = library.DataFrame(columns(12)), library.DataFrame(columns(13, 40))
    result = fastbox.jobs.evaluate(detections, truths)
    own = result.to_polars if library.__name__ == "polars" else result.to_pandas
    for table in (None, "summary"):
        found = detections.fastbox.evaluate(truths, table=table)
        assert type(found) is library.DataFrame and found.equals(own(table))
    named = [library.DataFrame({"photo": one["image_id"], **one}) for one in (columns(12), columns(13, 40))]
    again = named[0].fastbox(image="photo").evaluate(named[1])
    assert again["AP"].to_list() == detections.fastbox.evaluate(truths)["AP"].to_list()


def test_a_pandas_index_stays_and_may_hold_the_image_ids() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")

    plain = pandas.DataFrame(columns(14)).astype({"category_id": "category"})
    frame = plain.set_index("image_id")
    for found in (frame.fastbox.best(frame), frame.fastbox.match_greedy(frame)):
        assert found.index.equals(frame.index) and found["category_id"].dtype == "category"
    assert found["other_row"].tolist() == plain.fastbox.match_greedy(plain)["other_row"].tolist()
    kept = frame.fastbox.nms(iou_threshold=0.3)
    assert kept.index.name == "image_id" and len(kept) == len(plain.fastbox.nms(iou_threshold=0.3))
    assert list(frame.columns) == [*BOXES, "category_id", "score"], "the frame itself is not changed"


def test_text_ids_lazy_frames_and_other_kinds_of_frames_are_read() -> None:
    polars, pandas = (pytest.importorskip(name, reason=f"{name} is not installed") for name in NAMES)

    given = columns(15)
    words = np.array(["z", "é", "a", "Z", "ab"])
    frame = polars.DataFrame(given).with_columns(image_id=polars.Series(words[given["image_id"]]))
    want = polars.DataFrame(given).fastbox.best(polars.DataFrame(given))["other_row"].to_list()
    for other in (
        frame,
        frame.lazy(),
        frame.to_arrow(),
        frame.with_columns(polars.col("image_id").cast(polars.Categorical)),
    ):
        assert frame.fastbox.best(other)["other_row"].to_list() == want
    assert frame.fastbox.best(pandas.DataFrame(frame.to_dict(as_series=False)))["other_row"].to_list() == want


def test_boxes_of_other_columns_are_named_by_a_call(library: Any) -> None:
    frame = library.DataFrame({"photo": ["b", "a"], "place": [[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0]]})
    found = frame.fastbox(boxes="place", format="xywh", image="photo").best(frame)
    assert found["other_row"].to_list() == [0, 1]
    assert frame.fastbox(boxes="place", image=False).pairs(threshold=0.5)["iou"].to_list() == [0.5]


def test_frames_without_rows_give_frames_without_rows(library: Any) -> None:
    full = library.DataFrame(columns(16, 5))
    empty = full[:0]
    assert len(empty.fastbox.best(full)) == len(empty.fastbox.pairs(full, threshold=0.5)) == 0
    assert len(empty.fastbox.nms(iou_threshold=0.5)) == len(full.fastbox.top(empty, 2)) == 0
    assert full.fastbox.best(empty)["other_row"].to_list() == [-1] * 5


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "other_row": (lambda f, _: f.fastbox.best({"bbox": [[0, 0, 1, 1]]}), "column of image ids in both frames or in"),
    "no boxes": (lambda f, m: m.DataFrame({"a": [1]}).fastbox.best(f), "frame"),
    "no scores": (
        lambda f, m: m.DataFrame({"bbox": [[0, 0, 1, 1]]}).fastbox.nms(iou_threshold=0.5),
        "'score' in frame",
    ),
    "classes": (
        lambda f, m: f.fastbox(image=False).match_greedy(m.DataFrame({"bbox": [[0, 0, 1, 1]]})),
        "classes in both frames or in neither, got one in frame and none in truths: .*class_agnostic=True",
    ),
    "lists": (
        lambda f, m: m.DataFrame({"image_id": [1], "bboxes": [[[0, 0, 1, 1]]]}).fastbox.best(f),
        "one box in each row of frame, got lists of boxes in column 'bboxes': explode",
    ),
    "names": (lambda f, _: f.fastbox.nms(0.5), "name the others, iou_threshold=0.5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_compared_is_refused_with_a_sentence(library: Any, name: str) -> None:
    call, said = REFUSED[name]
    with pytest.raises((InputError, TypeError), match=said):
        call(library.DataFrame(columns(17)), library)


def test_a_missing_id_is_refused_with_its_row() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")

    frame = polars.DataFrame({"image_id": [2, 1, None], "bbox": [[0, 0, 1, 1]] * 3})
    with pytest.raises(InputError, match="an image id in column 'image_id' of frame at row 2, got null"):
        frame.fastbox.pairs(threshold=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_library_is_named(python: Any, name: str) -> None:
    found = python(f"import sys; sys.modules[{name!r}] = None; import fastbox.{name}", check=False)
    assert (
        f"ImportError: expected {name} for fastbox.{name}, got none: install it with pip install {name}" in found.stderr
    )
