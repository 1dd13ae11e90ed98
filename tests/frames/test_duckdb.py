"""The metrics as functions of DuckDB: the bits of ``fastbox.aligned``, NULL for NULL, nan for invalid boxes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import InputError

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")

ROWS = 5000  # more than DuckDB gives to one call


@pytest.fixture
def con() -> Iterator[Any]:
    import fastbox.duckdb

    with duckdb.connect() as made:
        made.execute("SET threads = 2")
        fastbox.duckdb.register(made)
        yield made


@pytest.fixture(scope="module")
def boxes() -> tuple[Any, Any]:
    """Two columns of boxes, some of them invalid, of extreme sizes, or of no width."""
    draw = np.random.default_rng(5)
    sides = []
    for _ in range(2):
        low = draw.uniform(0, 20, (ROWS, 2))
        one = np.concatenate([low, low + draw.uniform(0, 20, (ROWS, 2))], axis=1)
        one[::50, 2] = one[::50, 0]
        one[1::50] *= 1e200
        one[2::50, 3] = -1
        one[3::50, 1] = np.inf
        sides.append(one)
    return sides[0], sides[1]


def listed(quads: Any, valid: Any = None) -> Any:
    mask = None if valid is None else pa.array(~valid)
    return pa.FixedSizeListArray.from_arrays(pa.array(quads.ravel()), 4, mask=mask)


@pytest.mark.jit
@pytest.mark.parametrize("metric", fastbox.METRICS)
def test_a_function_gives_the_bits_of_aligned(con: Any, boxes: tuple[Any, Any], metric: str) -> None:
    a, b = boxes
    given = pa.table({"row": np.arange(ROWS), "a": listed(a), "b": listed(b)})
    found = con.sql(f"SELECT box_{metric}(a, b) AS v FROM given ORDER BY row").to_arrow_table()["v"]
    assert found.type == pa.float64() and found.null_count == 0 and len(given) == ROWS
    want = fastbox.aligned(a, b, metric=metric)
    assert found.to_numpy().tobytes() == want.tobytes()
    assert np.isnan(want[2::50]).all() and np.isnan(want[3::50]).all() and np.isfinite(want[:2]).all()


def test_four_columns_and_lists_of_other_numbers_are_cast(con: Any, boxes: tuple[Any, Any]) -> None:
    a, b = (np.floor(one[4:44]) for one in boxes)
    a, b = a[np.isfinite(a).all(axis=1)], b[np.isfinite(a).all(axis=1)]
    names = [f"{side}{k}" for side in "ab" for k in range(4)]
    given = pa.table(dict(zip(names, np.hstack([a, b]).astype(np.float32).T, strict=True)))
    lists = ", ".join(f"{side}{k}::INTEGER" for side in "b" for k in range(4))
    found = con.sql(f"SELECT box_iou([a0, a1, a2, a3], [{lists}]::INTEGER[]) AS v FROM given").fetchall()
    assert [value for (value,) in found] == fastbox.aligned(a, b).tolist() and len(given) == len(a)


def test_null_gives_null(con: Any, boxes: tuple[Any, Any]) -> None:
    a, b = boxes
    here, there = np.arange(ROWS) % 3 > 0, np.arange(ROWS) % 5 > 0
    given = pa.table({"row": np.arange(ROWS), "a": listed(a, here), "b": listed(b, there)})
    found = con.sql("SELECT box_giou(a, b) AS v FROM given ORDER BY row").to_arrow_table()["v"].combine_chunks()
    assert (np.asarray(found.is_valid()) == (here & there)).all() and len(given) == ROWS
    want = fastbox.aligned(a, b, metric="giou")[here & there]
    assert found.drop_null().to_numpy().tobytes() == want.tobytes()
    box = "[0, 0, 2, 2]"
    for first, second in (("NULL", box), (box, "NULL"), ("NULL", "NULL"), ("[0, NULL, 2, 2]", box)):
        assert con.sql(f"SELECT box_iou({first}, {second})").fetchall() == [(None,)]
    rows = "(VALUES (0.0), (1.0), (NULL)) AS t(x)"
    assert con.sql(f"SELECT box_l1([x, 0, 2, 2], {box}) FROM {rows}").fetchall() == [(0.0,), (1.0,), (None,)]


def test_no_rows_and_a_filter_work(con: Any, boxes: tuple[Any, Any]) -> None:
    a, b = boxes
    given = pa.table({"row": np.arange(ROWS), "a": listed(a), "b": listed(b)})
    assert con.sql("SELECT box_iou(a, b) FROM given WHERE row < 0").fetchall() == []
    found = con.sql(
        "SELECT row FROM given WHERE NOT isnan(box_iou(a, b)) AND box_iou(a, b) >= 0.3 ORDER BY row"
    ).fetchall()
    assert [row for (row,) in found] == np.flatnonzero(fastbox.aligned(a, b) >= 0.3).tolist() and len(given) == ROWS


def test_a_format_and_a_beta_are_those_of_the_registration(con: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(6)
    a, b = draw.uniform(1, 9, (2, 100, 4))
    pq.write_table(pa.table({"a": listed(a), "b": listed(b)}), tmp_path / "boxes.parquet")
    fastbox.duckdb.register(con, format="xywh", beta=4)
    found = con.sql(f"SELECT box_iou(a, b), box_smooth_l1(a, b) FROM '{tmp_path / 'boxes.parquet'}'").fetchall()
    sides = fastbox.Boxes(a, "xywh"), fastbox.Boxes(b, "xywh")
    want = fastbox.aligned(*sides), fastbox.aligned(*sides, metric="smooth_l1", beta=4.0)
    assert found == list(zip(*(one.tolist() for one in want), strict=True))
    fastbox.duckdb.register(con)
    assert con.sql("SELECT box_iou([0, 0, 2, 2], [1, 0, 2, 2])").fetchall() == [(0.5,)]


def test_what_can_not_be_registered_is_refused_with_a_sentence(con: Any) -> None:
    with pytest.raises(InputError, match="without functions of fastbox, got box_iou of another connection: use its"):
        fastbox.duckdb.register(con.cursor())
    with pytest.raises(TypeError, match="expected a connection of DuckDB, got 'boxes': open one"):
        fastbox.duckdb.register("boxes")
    with pytest.raises(ValueError, match="expected a format"):
        fastbox.duckdb.register(con, format="rel_xyxy")
    with pytest.raises(ValueError, match="expected beta"):
        fastbox.duckdb.register(con, beta=-1)
    with pytest.raises(duckdb.Error, match="length 3"):
        con.sql("SELECT box_iou([0, 0, 2], [0, 0, 2, 2])").fetchall()
