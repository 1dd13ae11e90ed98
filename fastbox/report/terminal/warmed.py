"""The result of `fastbox warmup` in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastbox.report.terminal.console import Console, Text

__all__ = ["show_warmed"]


def show_warmed(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the kernels that were compiled, the time, and the folder that keeps them."""
    compiled, before = summary["compiled"], summary["compiled_before"]
    if not compiled:
        console.print(Text(f"All {before:,} kernels are compiled already"))
    else:
        more = f"; {before:,} were compiled already" if before else ""
        one = "1 kernel" if len(compiled) == 1 else f"{len(compiled):,} kernels"
        console.print(Text(f"Compiled {one} in {summary['seconds']:.1f} s{more}"))
        names = Counter(name.partition(" ")[0] for name in compiled)
        console.print(Text(", ".join(f"{name} ({count})" for name, count in sorted(names.items()))))
    console.print(Text(f"Kept in {summary['folder']}"), soft_wrap=True)
