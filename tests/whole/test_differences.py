"""Each line of another library on the page of known differences gives what the page says, where it is installed.

The lines of fastbox on the page are examples, which :mod:`test_examples` runs.
"""

from __future__ import annotations

import doctest
import re
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.paths import ROOT

PAGE = (ROOT / "docs" / "differences.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^(?!>>>|[.]{3})(\S.*?)  # (gives|raises) (.+)$", re.MULTILINE)
TOP, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)


class Difference(NamedTuple):
    """A block of code of a section, and its line of another library."""

    peer: str
    block: str
    line: str
    verb: str
    said: str


def differences() -> list[Difference]:
    found = []
    for section in SECTIONS:
        peer = section.splitlines()[0]
        for block in BLOCK.findall(section):
            found += [Difference(peer, block, *line) for line in LINE.findall(block)]
    return found


ALL = differences()


def names_of(peer: str, block: str) -> dict[str, Any]:
    """The names that a line sees: those of the page, of its section, and of its block."""
    given: dict[str, Any] = {}
    imports = next(code for section in SECTIONS if section.startswith(f"{peer}\n") for code in BLOCK.findall(section))
    for example in doctest.DocTestParser().get_examples(BLOCK.findall(TOP)[0]):
        exec(example.source, given)
    if re.search(r"\bt\(", block + imports):
        import torch

        given["t"] = torch.as_tensor
    exec(imports, given)
    for example in doctest.DocTestParser().get_examples(block):
        if re.match(r"\w+(, \w+)* = ", example.source):
            exec(example.source, given)
    return given


def test_each_section_has_a_version_its_imports_and_a_difference() -> None:
    libraries = [section.splitlines()[0] for section in SECTIONS]
    assert {one.peer for one in ALL} == set(libraries) and len(ALL) >= 40
    for section in SECTIONS:
        assert re.search(r"\d[\d.]+|2026", section.splitlines()[2])
        assert "import" in BLOCK.findall(section)[0]
    for one in ALL:
        examples = doctest.DocTestParser().get_examples(one.block)
        assert any(example.want for example in examples), f"no value of fastbox beside {one.line}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("one", ALL, ids=[f"{one.peer}: {one.line[:60]}" for one in ALL])
def test_the_other_library_gives_what_the_page_says(one: Difference) -> None:
    try:
        given = names_of(one.peer, one.block)
    except (ImportError, RuntimeError, OSError) as error:  # a library that is installed for another machine
        pytest.skip(f"{one.peer} can't be imported here: {error}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if one.verb == "raises":
            with pytest.raises(BaseException) as raised:
                eval(one.line, given)
            assert raised.typename == one.said
            return
        found = np.ravel(np.asarray(eval(one.line, given))).astype(float)
    np.testing.assert_allclose(found, [float(number) for number in one.said.split(", ")], rtol=1e-3)
