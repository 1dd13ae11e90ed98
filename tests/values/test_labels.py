"""Ids and classes of any two types: what comes out is what Python's own values give, or one sentence says why not."""

from __future__ import annotations

import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fastbox
from fastbox import Boxes
from fastbox.values.flags import as_flags
from fastbox.values.labels import FIRST, Codes, as_ids, as_labels, codes_of, first_seen, kind_of, union

pandas = pytest.importorskip("pandas", reason="pandas is not installed")
polars = pytest.importorskip("polars", reason="polars is not installed")
arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

# Drawn classes seldom fit, of which evaluations warn.
pytestmark = pytest.mark.filterwarnings("ignore::fastbox.errors.InputWarning")

Values = list[Any]

EDGES = [0, 1, 2, 127, 128, 200, 255, 2**31, 2**53, 2**53 + 1, 2**62, 2**62 + 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
TEXTS = ["", "0", "1", "a", "a\0", "a\0b", "é", "z" * 65, "z" * 66, str(2**63)]

whole = st.sampled_from([*EDGES, -1, -(2**53) - 1, -(2**53), -(2**63), 2**64, -(2**70)])
labels = st.lists(whole, min_size=1, max_size=6) | st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6)

HOLDERS: dict[str, Callable[[Values], Any]] = {
    "list": list,
    "tuple": tuple,
    **{name: (lambda values, name=name: exact(values, name)) for name in ("int8", "uint8", "int32", "int64", "uint64")},
    "object": lambda values: np.array(values, object),
    "fixed": lambda values: (
        np.array(values, np.str_) if all(text(v) and not v.endswith("\0") for v in values) else None
    ),
    "string": lambda values: np.array(values, np.dtypes.StringDType()) if all(map(text, values)) else None,
    "masked": lambda values: np.ma.masked_array(np.array(values, object), mask=False),
    "Int64": lambda values: pandas.Series(values, dtype="Int64") if exact(values, "int64") is not None else None,
    "categorical": lambda values: pandas.Series(values).astype("category"),
    "ArrowDtype": lambda values: pandas.Series(arrow.array(values), dtype=pandas.ArrowDtype(arrow.array(values).type)),
    "polars": lambda values: polars.Series(values) if text(values[0]) or max(values) < 2**64 else None,
    "Enum": lambda values: polars.Series(values, dtype=polars.Enum(sorted(set(values)))) if text(values[0]) else None,
    "arrow": arrow.array,
    "dictionary": lambda values: arrow.array(values).dictionary_encode(),
}


def text(value: Any) -> bool:
    return isinstance(value, str)


def exact(values: Values, dtype: str) -> Any:
    limits = np.iinfo(dtype)
    fit = not any(map(text, values)) and all(limits.min <= value <= limits.max for value in values)
    return np.array(values, dtype) if fit else None


@st.composite
def held(draw: st.DrawFn) -> tuple[Values, Any]:
    """Values, and something that holds them."""
    values, name = draw(labels), draw(st.sampled_from(sorted(HOLDERS)))
    try:
        holder = HOLDERS[name](values)
    except (OverflowError, TypeError, arrow.ArrowException, polars.exceptions.PolarsError):
        holder = None
    assume(holder is not None)
    return values, holder


def equal(left: Any, right: Any) -> bool:
    return type(left) is type(right) and left == right


@given(held())
def test_labels_are_read_exactly(given: tuple[Values, Any]) -> None:
    values, holder = given
    found = as_labels(holder, "classes").tolist()
    assert len(found) == len(values) and all(map(equal, found, values))


@given(held(), held())
def test_codes_tell_labels_apart_as_python_does(left: tuple[Values, Any], right: tuple[Values, Any]) -> None:
    columns = [as_labels(holder, name) for name, (_, holder) in zip("ab", (left, right), strict=True)]
    every = [*left[0], *right[0]]
    if text(left[0][0]) != text(right[0][0]):
        with pytest.raises(ValueError, match=r"expected a and b of one kind, got .* in a and .* in b: cast one"):
            codes_of(*columns, names="ab")
        return
    codes = np.concatenate(codes_of(*columns, names="ab"))
    for i, one in enumerate(every):
        for j, other in enumerate(every):
            assert (codes[i] == codes[j]) == (one == other)


def box_at(place: int) -> list[float]:
    return [place, 0.0, place + 4.0, 4.0]


@given(held(), held(), st.data())
def test_images_of_two_types_meet_as_in_python(left: tuple[Values, Any], right: tuple[Values, Any], data: Any) -> None:
    sides = []
    for values, holder in (left, right):
        assume(values == sorted(values))
        sides.append((values, holder, [box_at(data.draw(st.integers(0, 3))) for _ in values]))
    every = [*left[0], *right[0]]
    beyond = any(not text(value) and not -(2**63) <= value < 2**63 for value in every)
    if beyond or text(left[0][0]) != text(right[0][0]):
        with pytest.raises(ValueError, match=r"-2\*\*63 to 2\*\*63 - 1|of one kind on both sides, got .* cast one"):
            fastbox.best(*(Boxes(boxes, images=holder) for _, holder, boxes in sides))
        return
    a, b = (Boxes(boxes, images=holder) for _, holder, boxes in sides)
    rows = {
        (i, j)
        for i, image in enumerate(left[0])
        for j, other in enumerate(right[0])
        if image == other and sides[0][2][i] == sides[1][2][j]
    }
    found = fastbox.pairs(a, b, threshold=1.0)
    assert set(zip(found.rows.tolist(), found.cols.tolist(), strict=True)) == rows
    best = fastbox.best(a, b).indices.tolist()
    assert all((j >= 0) == (left[0][i] in right[0]) for i, j in enumerate(best))
    assert all(left[0][i] == right[0][j] for i, j in enumerate(best) if j >= 0)


@given(held())
def test_suppression_keeps_classes_apart_as_python_does(given: tuple[Values, Any]) -> None:
    values, holder = given
    scores = np.linspace(1, 0.5, len(values))
    kept = fastbox.nms([box_at(0)] * len(values), scores, iou_threshold=0.5, classes=holder)
    first = sorted({value: row for row, value in reversed(list(enumerate(values)))}.values())
    assert kept.tolist() == first
    fused = fastbox.weighted_boxes_fusion([box_at(0)] * len(values), scores, classes=holder)
    assert sorted(fused.classes.tolist(), key=str) == sorted(set(values), key=str)


@given(held(), held())
def test_matches_keep_classes_apart_as_python_does(left: tuple[Values, Any], right: tuple[Values, Any]) -> None:
    (mine, holder), (wanted, other) = left, right
    sides = [box_at(0)] * len(mine), np.linspace(1, 0.5, len(mine)), [box_at(0)] * len(wanted)

    def match() -> list[int]:
        return fastbox.match_greedy(*sides, classes=holder, truth_classes=other).truths.tolist()

    def evaluation() -> fastbox.Evaluation:
        return fastbox.evaluate(*sides, classes=holder, truth_classes=other)

    if text(mine[0]) != text(wanted[0]):
        for call in (match, evaluation):
            with pytest.raises(ValueError, match="of one kind"):
                call()
        return
    free = list(range(len(wanted)))
    expected = []
    for value in mine:
        place = max((k for k in free if wanted[k] == value), default=-1)
        expected.append(place)
        free = [k for k in free if k != place]
    assert match() == expected
    found = evaluation()
    assert found.classes == sorted({*mine, *wanted})
    assert int((found.errors().counts[:, 0]).sum()) == sum(place >= 0 for place in expected)


MISSING = [
    [1, None],
    ["a", None],
    ["a", float("nan")],
    np.ma.masked_array([1, 2], mask=[False, True]),
    np.ma.masked_array(["a", "b"], mask=[False, True]),
    np.array([1, None], object),
    pandas.Series([1, None], dtype="Int64"),
    pandas.Series(["a", None], dtype="category"),
    pandas.Series(["a", None], dtype="string"),
    pandas.Series([1, pandas.NA], dtype=object),
    polars.Series([1, None]),
    polars.Series(["a", None]),
    arrow.array([1, None]),
    arrow.array(["a", None]),
    arrow.array(["a", None]).dictionary_encode(),
    arrow.DictionaryArray.from_arrays(arrow.array([0, 1]), arrow.array(["a", None])),
    np.array(["a", None], np.dtypes.StringDType(na_object=None)),
    [1, pandas.NaT],
]


@pytest.mark.parametrize(
    "values", MISSING, ids=lambda values: f"{type(values).__name__} {getattr(values, 'dtype', '')}"
)
def test_a_missing_label_is_refused_with_its_row(values: Any) -> None:
    said = "expected {} without (missing|masked) values, got .* at row 1: fill it or drop the row"
    two = [box_at(0)] * 2
    with pytest.raises(ValueError, match=said.format("images")):
        Boxes(two, images=values)
    with pytest.raises(ValueError, match=said.format("classes")):
        fastbox.nms(two, [1, 1], iou_threshold=0.5, classes=values)
    with pytest.raises(ValueError, match=said.format("truth_classes")):
        fastbox.evaluate(two, [1, 1], two, classes=[1, 1], truth_classes=values)


class Kind(str, enum.Enum):  # noqa: UP042, whose str() is no value
    CAR, DOG = "car", "cat"


class Text(str):
    pass


@pytest.mark.parametrize("holder", [list, lambda values: np.array(values, object), pandas.Series])
def test_members_of_enumerations_are_their_values(holder: Callable[[Values], Any]) -> None:
    assert as_labels(holder([Kind.CAR, Kind.DOG]), "classes").tolist() == ["car", "cat"]
    assert as_labels(holder([Text("a"), "b"]), "classes").tolist() == ["a", "b"]
    assert as_labels(holder([enum.IntEnum("Number", "one two")(2), 3]), "classes").tolist() == [2, 3]
    two = [box_at(0)] * 2
    assert len(fastbox.nms(two, [0.9, 0.8], iou_threshold=0.5, classes=holder([Kind.CAR, Kind.DOG]))) == 2


@pytest.mark.parametrize("values", ["ab", b"ab", 5, None, {1, 2}, {"a": 1}, (k for k in range(2))])
def test_what_is_no_list_is_shown(values: Any) -> None:
    with pytest.raises(TypeError, match=r"expected classes as a list or an array, got .*: give one value per box"):
        as_labels(values, "classes")


NEITHER = [
    ([1, "a"], "integers or of strings, got 1 at row 0 and 'a' at row 1"),
    (["a", 1], "integers or of strings, got 'a' at row 0 and 1 at row 1"),
    (np.array([1, "a"], object), "integers or of strings"),
    ([1.0, 2.0], "dtype float64 .*astype"),
    (np.array([1.0, 2.0]), "dtype float64.*astype"),
    ([1, 2.5], "dtype float64"),
    ([True, False], "dtype bool"),
    (np.array([b"a", b"b"]), "dtype .S1.*decode"),
    ([b"a", b"b"], "dtype .S1.*decode"),
    (np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"), "dtype datetime64"),
    ([object(), object()], "dtype object"),
    (np.array([1j, 2j]), "dtype complex"),
]


@pytest.mark.parametrize(("values", "said"), NEITHER)
def test_what_is_no_label_is_refused(values: Any, said: str) -> None:
    two = [box_at(0)] * 2
    with pytest.raises(TypeError, match=f"expected images of .*{said}"):
        Boxes(two, images=values)
    with pytest.raises(TypeError, match=f"expected classes of .*{said}"):
        fastbox.match_greedy(two, [1, 1], two, classes=values, truth_classes=values)


def test_nothing_fits_every_kind() -> None:
    nothing = as_ids([], "images")
    assert kind_of(nothing) is None and len(union(nothing, as_ids(["a"], "images"))) == 1
    assert union(as_ids(["a"], "images"), nothing).tolist() == ["a"]
    assert codes_of(as_labels(["a"], "classes"), nothing, names=("classes", "more"))[1].tolist() == []


def test_runs_and_classes_stay_of_one_kind_over_all_that_is_added() -> None:
    box = [box_at(0)]
    found = fastbox.evaluate(box, [1], box, classes=[1], truth_classes=[1])
    with pytest.raises(ValueError, match="expected classes of one kind, got 1 and '1': cast all of them alike"):
        found.add(box, [1], box, classes=["1"], truth_classes=["1"])
    with pytest.raises(ValueError, match="expected classes everywhere or nowhere"):
        found.add(box, [1], box)
    with pytest.raises(ValueError, match="expected classes of one kind"):
        found + fastbox.evaluate(box, [1], box, classes=["1"], truth_classes=["1"])
    assert Codes([None]).labels == [None]


FLAGS: list[tuple[Any, list[bool]]] = [
    ([True, False], [True, False]),
    ([2, 0], [True, False]),
    (np.array([0.5, np.nan]), [True, False]),
    (["1", "0"], [True, False]),
    (["YES", ""], [True, False]),
    (["true", "no"], [True, False]),
    ([1, None], [True, False]),
    (np.ma.masked_array([1, 1], mask=[False, True]), [True, False]),
    (pandas.Series([True, None], dtype="boolean"), [True, False]),
    (polars.Series(["yes", None]), [True, False]),
    (arrow.array([1, None]), [True, False]),
    ([Decimal("0.1"), Decimal(0)], [True, False]),
    ([Decimal(1), Decimal("nan")], [True, False]),
]


@pytest.mark.parametrize(("values", "flags"), FLAGS)
def test_flags_have_one_meaning(values: Any, flags: list[bool]) -> None:
    assert as_flags(values, "crowd", 2).tolist() == flags
    two = [box_at(0), box_at(50)]
    assert fastbox.evaluate(two, [1, 1], two, ignore=values).errors().counts[0, 6] == 1
    found = fastbox.match_greedy([box_at(0)] * 2, [1, 1], two, crowd=values).truths
    assert found.tolist() == [0, 0]


@pytest.mark.parametrize("values", [["maybe", ""], [[1], [0]], [{}, {}], np.array([1j, 0])])
def test_what_is_no_flag_is_refused(values: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"expected .*crowd.*, got"):
        as_flags(values, "crowd", 2)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "int64", "uint64"])
def test_labels_far_apart_keep_their_values(dtype: str) -> None:
    """Their distance is more than their own type holds."""
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    column = np.array([least, most, least + 45, most, most - 100], dtype)
    codes = Codes()
    assert [codes.labels[code] for code in codes.of_column(column)] == column.tolist()


@pytest.mark.parametrize("place", [0, 1, FIRST - 1, FIRST, FIRST + 1, 2 * FIRST])
@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.int64])
def test_codes_are_in_the_order_of_first_rows_wherever_these_are(place: int, dtype: type[np.generic]) -> None:
    column = np.full(2 * FIRST + 1, 9).astype(dtype)
    column[3::5] = 4
    column[place] = 7
    found = first_seen(column)
    assert found is not None
    assert found[1] == list(dict.fromkeys(column.tolist()))
    assert [found[1][code] for code in found[0].tolist()] == column.tolist()
