"""Pages: one file that opens anywhere, in which nothing from the data is anything but text."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.pages import HOSTILE, attributes, parsed

from fastbox import InputError
from fastbox.report.page.contents import (
    Box,
    Column,
    Example,
    Examples,
    Figure,
    Page,
    Part,
    Plot,
    Section,
    Stroke,
    Table,
)
from fastbox.report.page.plots import bars, heat_map, histogram, lines
from fastbox.report.page.text import LONGEST, plain
from fastbox.report.page.write import check_page, render, write

pytest.importorskip("jinja2")


def page(names: list[str]) -> Page:
    """A page with names in every place where there can be one."""
    values = {name or str(k): float(k) for k, name in enumerate(names)}
    curves: dict[str, list[float | None]] = {name: [0.1, None] for name in values}
    parts: list[Any] = [
        Table(names[0], [Column(names[1], names), Column("n", [str(k) for k in range(len(names))], range(len(names)))]),
        Examples(names[2], [Example(name, [Box((0, 0, 4, 5), name, "truth")]) for name in names]),
        bars(names[3], values),
        lines(names[4], [0.0, 1.0], curves, across=names[5], up=names[6], diagonal=True),
        heat_map(names[7], np.eye(len(names)), names, names, across="x", up="y"),
        histogram(names[8], [0, 1, 2], [3, 4], unit=names[9]),
    ]
    figures = [Figure(name, name, name) for name in names]
    return Page(names[0], names[1], figures, [Section(names[2], names[3], parts)] * 3, names[4])


@pytest.fixture(scope="module")
def hostile() -> str:
    return render(page(HOSTILE))


@pytest.mark.slow
def test_no_element_and_no_attribute_comes_from_the_data(hostile: str) -> None:
    plain_names = [f"name number {k}" for k in range(len(HOSTILE))]
    ours, theirs = parsed(render(page(plain_names))), parsed(hostile)
    shape = {(tag, *sorted(found)) for tag, found in ours.found}
    # An empty hint leaves its element out; text on a plot can be laid out in other elements of SVG.
    assert {(tag, *sorted(found)) for tag, found in theirs.found} <= shape | {("dd",), ("g", "id", "style")}
    assert [tag for tag, _ in theirs.found].count("script") == 1
    assert "img" not in {tag for tag, _ in theirs.found}
    for tag, name, value in attributes(theirs):
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src", "xlink:href"):
            assert value is not None and value.startswith(("#", "data:,")), (tag, name, value)


def test_names_are_there_as_text(hostile: str) -> None:
    texts = "".join(parsed(hostile).texts)
    assert "<script>alert(1)</script>" in texts and "{{ 7 * 7 }}" in texts and "$\\frac{1}{0}$" in texts
    assert not set(texts) & {"\x00", "\x07", "\x1b"}
    assert "x" * (LONGEST - 1) + "…" in texts and "x" * (LONGEST + 1) not in texts


def test_nothing_is_fetched_and_nothing_but_our_script_may_run(hostile: str) -> None:
    import base64
    import hashlib

    elements = parsed(hostile)
    policy = next(found["content"] for tag, found in elements.found if "http-equiv" in found)
    assert policy is not None and policy.startswith("default-src 'none'")
    script = re.search(r"<script>(.*?)</script>", hostile, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"(?<!xmlns=\")(?<!xlink=\")https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", hostile))


@pytest.mark.slow
def test_ids_are_there_once_and_every_reference_leads_somewhere(hostile: str) -> None:
    calm = render(page([f"name number {k}" for k in range(len(HOSTILE))]))
    elements = parsed(calm)
    ids = [found["id"] for _, found in elements.found if "id" in found]
    # The same plot three times, in three sections, has its ids three times; all others are there once.
    own = [name for name in ids if not re.match(r"p[0-9a-f]+-", name or "")]
    assert len(own) == len(set(own))
    for tag, name, value in attributes(elements):
        if name in ("href", "xlink:href") and value and value.startswith("#"):
            assert value[1:] in ids, (tag, value)
        for target in re.findall(r"url\(#([^)]*)\)", value or ""):
            assert target in ids
        if name == "aria-labelledby":
            assert set((value or "").split()) <= set(ids)


@pytest.mark.slow
def test_a_page_can_be_read_without_seeing_it(hostile: str) -> None:
    elements = parsed(render(page([f"name number {k}" for k in range(len(HOSTILE))])))
    tags = [tag for tag, _ in elements.found]
    assert {"main", "header", "footer", "h1", "h2", "nav"} <= set(tags)
    assert ("html", {"lang": "en"}) in elements.found
    for tag, found in elements.found:
        if tag == "svg" and "aria-hidden" not in found:
            assert found.get("role") == "img" and ("aria-label" in found or "aria-labelledby" in found)
        if tag == "th":
            assert found.get("scope") == "col"
    assert tags.count("caption") == tags.count("table")


@pytest.mark.slow
def test_the_same_page_is_the_same_text() -> None:
    names = [f"name number {k}" for k in range(len(HOSTILE))]
    assert render(page(names)) == render(page(names))


@pytest.mark.slow
def test_plots_take_the_colours_of_the_page() -> None:
    plot = lines("a", [0, 1], {"b": [0, 1]}, across="x", up="y", strokes=[Stroke("truth")])
    for svg in (plot.full, plot.wide, plot.narrow):
        assert "var(--truth)" in svg and "#0102" not in svg
    assert "b: 0 to 1" in plot.description


def test_no_row_of_a_page_is_half_empty() -> None:
    plot, short = Plot(lambda width: f"<svg data-inches='{width}'/>", "plot", ""), Table("short", [Column("a", ["1"])])
    long = Table("long", [Column("a", ["1"] * 9)])
    rows: list[tuple[list[Part], str]] = [
        ([plot], "full"),
        ([plot, short], "half half"),
        ([plot, long], "full full"),
        ([long, plot, plot, plot], "full third third third"),
        ([plot, plot, plot, short], "third third third full"),
        ([plot, plot, short], "half half full"),
        ([plot, plot, plot, plot, plot], "half half half half full"),
    ]
    for parts, shares in rows:
        placed = Section("s", "", parts).placed()
        assert [part for part, _ in placed] == parts and " ".join(share for _, share in placed) == shares
    html = render(Page("p", "l", [], [Section("s", "", [plot])]))
    assert [found in html for found in ("inches='10.9'", "inches='5.2'", "inches='3.4'")] == [True] * 3
    assert "inches='10.9'" not in render(Page("p", "l", [], [Section("s", "", [plot, short])]))


@pytest.mark.slow
def test_plots_of_nothing_are_drawn() -> None:
    assert "nothing" in lines("a", [0, 1], {"b": [None, None]}, across="x", up="y").description
    assert "0 values" in histogram("a", [0, 1, 2], [0, 0]).description
    assert heat_map("a", np.full((2, 2), np.nan), "ab", "cd", across="x", up="y").wide.startswith("<svg")
    assert bars("a", {"b": 0.0}).description == "b: 0"


def test_columns_sort_by_their_numbers() -> None:
    table = Table("t", [Column("name", ["a", "b"]), Column("n", ["1,000", "–"], [1000, None])])
    html = render(Page("p", "l", [], [Section("s", "", [table])]))
    assert 'data-key="1000"' in html and 'data-key=""' in html
    with pytest.raises(ValueError):
        _ = Table("t", [Column("a", ["1"]), Column("b", ["1", "2"])]).rows


def test_boxes_are_drawn_to_scale() -> None:
    example = Example("e", [Box((10, 10, 30, 20), "a", "truth"), Box((20, 10, 30, 20), "b", "wrong")])
    (_, x, y, width, height), (_, other_x, *_rest) = example.placed()
    assert width == pytest.approx(2 * height, rel=1e-3) and other_x - x == pytest.approx(width / 2, rel=1e-3)
    assert min(x, y) >= 0 and max(x + width, y + height) <= 100


def test_a_page_appears_complete_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.html"
    write(Page("one", "l", []), target)
    before = target.read_text()
    assert "<title>one</title>" in before
    broken = Page("two", "l", [], [Section("s", "", [object()])])  # type: ignore[list-item]
    with pytest.raises(KeyError):
        write(broken, target)
    assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_what_can_not_be_a_page_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_page(tmp_path / "a.html")
    with pytest.raises(InputError, match=r"expected a page such as report.html, got .*a\.pdf"):
        check_page(tmp_path / "a.pdf")
    with pytest.raises(InputError, match=r"expected a folder to write .*: make it with mkdir -p"):
        check_page(tmp_path / "none" / "a.html")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(
        InputError, match=r"expected Jinja2 for a page, got none: pip install 'fastbox-engine\[report\]'"
    ):
        check_page(tmp_path / "a.html")


def test_text_is_cut_and_cleaned() -> None:
    assert plain("a\x00b\n") == "a\ufffdb\ufffd"
    assert len(plain("y" * 500)) == LONGEST
