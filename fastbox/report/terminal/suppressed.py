"""The results of `fastbox nms` and `fastbox fuse` in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import counted
from fastbox.report.rules import fused_rules, suppressed_rules
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_invalid, show_rules

__all__ = ["show_fused", "show_suppressed"]


def show_suppressed(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.nms.nms`, given its ``to_dict``."""
    boxes, kept = summary["boxes"], summary["kept"]
    share = f" ({kept / boxes:.1%})" if boxes else ""
    console.print(Text(f"{kept:,} of {boxes:,} boxes kept{share}", style="bold"))
    show_rules(console, suppressed_rules(summary["rules"]))
    console.print(Text(f"{counted(summary['images'], 'images')} · {summary['suppressed']:,} suppressed", style="dim"))
    left_out = {
        "with a low score": summary["low_scores"],
        "with a score of nan": summary["no_scores"],
        **{reason.replace("_", " "): count for reason, count in summary["invalid"]["boxes"].items()},
    }
    found = [f"{count:,} {reason}" for reason, count in left_out.items() if count]
    if found:
        console.print(Text(f"left out: {', '.join(found)}", style="yellow"))


def show_fused(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.fuse.fuse`, given its ``to_dict``."""
    fused, models = counted(summary["fused"], "boxes"), counted(summary["models"], "models")
    console.print(Text(f"{fused} fused from {summary['boxes']:,} of {models}", style="bold"))
    show_rules(console, fused_rules(summary["rules"]))
    console.print(Text(counted(summary["images"], "images"), style="dim"))
    show_invalid(console, summary["invalid"])
