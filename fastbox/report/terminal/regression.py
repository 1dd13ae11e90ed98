"""The result of `fastbox experiment regression` in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import counted
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import EIGHTHS, show_table

__all__ = ["show_regression"]

WIDTH = 50
SEEN = 0.01  # the least share of the first error that is drawn


def show_regression(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.regression`, given its ``to_dict``."""
    losses = summary["losses"]
    start = next(iter(losses.values()))["curve"][0]
    console.print(
        Text(f"{counted(summary['cases'], 'cases')}, {counted(summary['steps'], 'steps')} each", style="bold")
    )
    facts = f"{counted(summary['points'], 'points')} · seed {summary['seed']} · mean error at the start {start:.3f}"
    console.print(Text(facts, style="dim"))
    console.print()
    show_table(console, _rows(summary, console.encoding.startswith("utf")), ("error", "< 0.1"))
    if console.encoding.startswith("utf"):
        console.print()
        _show_curves(console, losses, summary["steps"])
    if floored := [f"{found['floored']:,} of {name}" for name, found in losses.items() if found["floored"]]:
        console.print(Text(f"cases with a side kept above 0: {', '.join(floored)}", style="yellow"))


def _rows(summary: Mapping[str, Any], utf: bool) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [
        (
            "at the end",
            "error",
            "< 0.1",
            f"IoU {'≥' if utf else '>='} 0.90",
            "no overlap",
            "error halved",
            "error at 10%",
        )
    ]
    for name, found in summary["losses"].items():
        shares = [f"{found[key] / summary['cases']:.1%}" for key in ("converged", "iou_high", "apart")]
        steps = ["–" if found[key] is None else f"step {found[key]}" for key in ("steps_to_half", "steps_to_tenth")]
        rows.append((name, f"{found['final_error']:.4f}", *shares, *(s if utf else s.replace("–", "-") for s in steps)))
    return rows


def _show_curves(console: Console, losses: Mapping[str, Any], steps: int) -> None:
    """Print the error of each loss over the steps, a line each."""
    names = max(map(len, losses))
    console.print(Text(f"error by step, blank below {SEEN:.0%} of the first error", style="bold"))
    for name, found in losses.items():
        curve = found["curve"]
        shown = [curve[round(k * steps / (WIDTH - 1))] / curve[0] for k in range(WIDTH)]
        blocks = "".join(EIGHTHS[min(max(round(8 * share), 1), 8) if share >= SEEN else 0] for share in shown)
        console.print(Text(f"{name.ljust(names)}  ").append(blocks.rstrip(), style="cyan"), soft_wrap=True)
    console.print(Text(f"{' ' * names}  0{str(steps).rjust(WIDTH - 1)}", style="dim"), soft_wrap=True)
