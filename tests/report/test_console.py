"""Lines of a terminal look as rich prints them, though mostly printed without rich."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console as RichConsole
from rich.text import Text as RichText

from fastbox.report.terminal.console import Console, Text, cells

WORDS = st.text("ab ·→─█±°×—…\t\n\x07é日🙂\u200b", max_size=9)  # also wide, without width, and control characters
PARTS = st.lists(st.tuples(WORDS, st.sampled_from(["", "bold", "not bold dim", "yellow"])), max_size=3)
STEPS = st.lists(st.sampled_from(["pad", "strip", "line"]), max_size=3)


def written(kind: Any, parts: Any, steps: Any, style: str) -> Any:
    """Return a line of one kind, made by the same steps."""
    line = kind(parts[0][0] if parts else "", style, no_wrap=False)
    for text, own in parts[1:]:
        line.append(text, own)
    for step in steps:
        if step == "pad":
            line.pad_right(3)
        elif step == "strip":
            line.rstrip()
        else:
            line.append_text(kind("x y", "cyan"))
    return line


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
@given(parts=PARTS, steps=STEPS, style=st.sampled_from(["", "bold"]), soft_wrap=st.booleans(), width=st.integers(1, 20))
def test_lines_are_as_rich_prints_them(
    stream: Any, parts: Any, steps: Any, style: str, soft_wrap: bool, width: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm-256color")
        own, file = Console(found := stream(), least=1), stream()
        own.print(written(Text, parts, steps, style), soft_wrap=soft_wrap)
        own.print()
        rich = RichConsole(file=file, highlight=False)
        rich.print(written(RichText, parts, steps, style), soft_wrap=soft_wrap)
        rich.print()
    assert found.getvalue() == file.getvalue()
    assert (own.width, own.encoding) == (rich.width, rich.encoding)


@given(WORDS)
def test_cells_are_counted_as_rich_counts_them(text: str) -> None:
    assert cells(text) == cell_len(text)


def test_rich_is_loaded_only_for_what_it_is_needed() -> None:
    code = """
import io, sys
from fastbox.report.terminal.console import Console, Text
Console(io.StringIO()).print(Text("1,222 pairs · IoU ≥ 0.50", style="bold"))
Console(None).print(Text("nowhere"))
assert "rich" not in sys.modules
Console(sys.stdout).print(Text("ab " * 40))
assert "rich" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert len(done.stdout.splitlines()) == 2
