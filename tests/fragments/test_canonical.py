"""Options that differ are told apart, whatever they are."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox import InputError, jobs
from fastbox.anchors import PRESETS, AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.assign.rule import MatchRule
from fastbox.evaluation import Params
from fastbox.fragments import spread
from fastbox.fragments.canonical import canonical, digest
from fastbox.jobs.inspection.before import Before


class Colour(Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass(frozen=True, repr=False)
class Hidden:
    """Its repr tells nothing."""

    value: Any
    other: Any = 0

    def __repr__(self) -> str:
        return "Hidden"


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.sampled_from(list(Colour))
    | st.integers(-(2**63), 2**63 - 1).map(np.int64)
    | st.floats(width=32).map(np.float32)
    | st.text(max_size=3).map(Path)
    | st.sampled_from(["<f4", "<f8", "i1", "U3"]).map(np.dtype)
    | st.lists(st.integers(0, 3), max_size=4).map(np.array)
    | st.lists(st.floats(width=32), max_size=4).map(lambda items: np.array(items, np.float32))
)
OPTIONS = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 3) | st.booleans(), inner, max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Hidden, inner, inner)
        | st.frozensets(st.integers(0, 3) | st.text(max_size=1), max_size=3)
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    """Whether two options are one, in type, value and order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    if isinstance(a, np.generic | np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Hidden):
        return same((a.value, a.other), (b.value, b.other))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, frozenset):
        return sorted(map(repr, a)) == sorted(map(repr, b))
    return bool(a == b)


@given(OPTIONS, OPTIONS)
def test_two_options_have_the_same_bytes_only_if_they_are_the_same(a: Any, b: Any) -> None:
    assert (canonical(a) == canonical(b)) == same(a, b)


@given(OPTIONS)
def test_the_bytes_are_always_the_same(option: Any) -> None:
    import copy
    import pickle

    assert canonical(option) == canonical(copy.deepcopy(option)) == canonical(pickle.loads(pickle.dumps(option)))


def test_kinds_are_told_apart() -> None:
    options = [
        None,
        False,
        True,
        0,
        1,
        0.0,
        -0.0,
        1.0,
        math.nan,
        math.inf,
        "1",
        "",
        "None",
        b"1",
        2**53,
        2**53 + 1,
        2**70,
    ]
    options += [
        np.int8(1),
        np.int64(1),
        np.float32(1),
        np.float64(1),
        np.bool_(True),
        np.str_("1"),
        np.array(1),
        Path("1"),
    ]
    options += [
        (),
        [],
        {},
        frozenset(),
        (1,),
        [1],
        (1, 2),
        (2, 1),
        ((1,), 2),
        ("12", "\udc80"),
        ("1", "2"),
        {"a": 1, "b": 2},
    ]
    options += [{"b": 2, "a": 1}, {"1": 1}, {1: 1}, np.zeros((2, 3)), np.zeros((3, 2)), np.zeros(6), np.zeros(6, "f4")]
    options += [np.ma.masked_array([0.0], [True]), np.ma.masked_array([0.0], [False]), np.array([0.0])]
    options += [
        np.array(["a"]),
        np.array(["a"], object),
        Pair(1, 2),
        Hidden(1, 2),
        Hidden((1, 2)),
        Colour.RED,
        Colour.BLUE,
    ]
    made = [canonical(option) for option in options]
    assert len(set(made)) == len(made)


def test_what_is_not_known_is_refused() -> None:
    for unknown in (object(), lambda: 1, print, pa.table({"a": [1]}), iter([]), 1j, Hidden, {"a": [object()]}):
        with pytest.raises(TypeError, match="expected an option of numbers, texts, arrays or dataclasses, got "):
            canonical(unknown)


def test_anchors_of_all_presets_differ() -> None:
    grids = {name: AnchorGrid.preset(name) for name in PRESETS}
    for (one, a), (two, b) in itertools.combinations(grids.items(), 2):
        assert (digest(a) == digest(b)) == (a == b), (one, two)
    sizes = [AnchorGrid([8], [size], [ratio]) for size in (32.0, 33.0) for ratio in (1.0, 2.0)]
    sizes += [AnchorGrid([8], [32.0], offset=0.5), AnchorGrid([8], [32.0], pad=32), AnchorGrid([16], [32.0])]
    assert len({repr(grid) for grid in sizes}) < len(sizes) == len({digest(grid) for grid in sizes})


def nudged(option: Any) -> list[Any]:
    """The option with each number that it holds moved by the least, one at a time."""
    if isinstance(option, bool):
        return [not option]
    if isinstance(option, float):
        return [math.nextafter(option, math.inf)]
    if isinstance(option, int):
        return [option + 1]
    if isinstance(option, str):
        return [option + "'"]
    if isinstance(option, np.ndarray):
        return [np.append(option, option.dtype.type(0))]
    if isinstance(option, tuple):
        moved = [(*option[:k], new, *option[k + 1 :]) for k, own in enumerate(option) for new in nudged(own)]
        return [type(option)(*new) for new in moved] if hasattr(option, "_fields") else [*moved, (*option, 1)]
    if isinstance(option, dict):
        return [{**option, key: new} for key, own in option.items() for new in nudged(own)] + [{**option, "new": 1}]
    return []


@pytest.mark.parametrize(
    "option",
    [
        *(MatchRule.fastbox(), MatchRule.mmdet(0.7, 0.3, 0.3), Params(), jobs.Limits(), Resize("longer", 640.0, 0.0)),
        *(AnchorGrid.preset(name) for name in ("retinanet", "ssd300")),
        Before({"a": (1.0, 2.0, 3.0)}, np.arange(3), np.arange(3)),  # type: ignore[dict-item]
    ],
    ids=lambda option: type(option).__name__,
)
def test_every_number_of_every_option_counts(option: Any) -> None:
    if isinstance(option, tuple):
        changed = nudged(option)
    else:
        changed = []
        for part in fields(option):
            for value in nudged(getattr(option, part.name)):
                other = object.__new__(type(option))  # past its checks: a number is moved off what they take
                for name in (one.name for one in fields(option)):
                    object.__setattr__(other, name, value if name == part.name else getattr(option, name))
                changed.append(other)
    made = [digest(one) for one in (option, *changed)]
    assert len(changed) > 3
    assert len(set(made)) == len(made)
    assert (
        replace(option) == option
        if not isinstance(option, tuple) and not isinstance(option, AnchorGrid | Before)
        else True
    )


RUNS: dict[str, tuple[Any, list[dict[str, Any]]]] = {
    "assign": (
        jobs.assign,
        [
            {"anchors": AnchorGrid.preset("retinanet"), "resize": Resize("longer", 500.0, math.nan)},
            {"anchors": AnchorGrid.preset("mmdet-retinanet"), "resize": Resize("longer", 500.0, math.nan)},
            {
                "anchors": AnchorGrid.preset("retinanet"),
                "resize": Resize("longer", 500.0, math.nan),
                "rule": MatchRule.fastbox(0.5, 0.3),
            },
            {"anchors": AnchorGrid.preset("retinanet"), "resize": Resize("longer", 640.0, 0.0)},
        ],
    ),
    "nms": (
        jobs.nms,
        [
            {},
            {"iou_threshold": 0.4},
            {"iou_threshold": math.nextafter(0.4, 1)},
            {"keep": ("image_id",)},
            {"class_agnostic": True},
        ],
    ),
    "inspect": (
        jobs.inspect,
        [{}, {"limits": jobs.Limits(near=0.9)}, {"limits": jobs.Limits(near=math.nextafter(0.9, 1))}],
    ),
}


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_run_never_takes_the_parts_of_another(name: str, tmp_path: Path) -> None:
    job, runs = RUNS[name]
    n = 60
    corners = np.random.default_rng(0).uniform(0, 400, (n, 4))
    corners[:, 2:] = corners[:, :2] + corners[:, 2:] / 4 + 10
    rows = {
        "image_id": np.arange(n) // 3,
        "category_id": np.arange(n) % 2,
        "score": np.linspace(0, 1, n),
        "bbox": list(corners),
        "width": [500] * n,
        "height": [500] * n,
    }
    pq.write_table(pa.table(rows), tmp_path / "t.parquet", row_group_size=12)
    for one, two in itertools.permutations(range(len(runs)), 2):
        out = tmp_path / f"{one}-{two}"
        spread(job, tmp_path / "t.parquet", out=out, fragment_rows=20, **runs[one])
        with pytest.raises(InputError, match="of another run"):
            spread(job, tmp_path / "t.parquet", out=out, fragment_rows=20, **runs[two])
        again = spread(job, tmp_path / "t.parquet", out=out, fragment_rows=20, **runs[one])
        assert again.to_dict() == job(tmp_path / "t.parquet", **runs[one]).to_dict()
