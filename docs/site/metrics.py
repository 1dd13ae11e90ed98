"""One page for each metric: definition, range, a picture, corner cases with their values, all from the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

import fastbox
from fastbox.kernels.metrics import METRICS

SEMANTICS, BENCHMARKS = (Path(__file__).resolve().parents[1] / name for name in ("semantics.md", "benchmarks.md"))
WIDTH, HEIGHT, LEFT, BELOW = 640, 240, 48, 36

BOX = [0, 0, 10, 10]
CASES = {
    "the same box": ([0, 0, 10, 10], BOX),
    "shifted by a tenth of its width": ([1, 0, 11, 10], BOX),
    "a quarter of the area, inside": ([0, 0, 5, 5], BOX),
    "twice as wide, half as high": ([0, 0, 20, 5], BOX),
    "boxes that touch": ([10, 0, 20, 10], BOX),
    "boxes one width apart": ([20, 0, 30, 10], BOX),
    "a box without width, inside": ([5, 0, 5, 10], BOX),
    "a point and the same point": ([5, 5, 5, 5], [5, 5, 5, 5]),
    "an inverted box": ([10, 0, 0, 10], BOX),
    "a box with nan": ([float("nan"), 0, 10, 10], BOX),
}


def pages() -> dict[str, str]:
    """Return the text of each page by its name: an index with the definitions, then one page a metric."""
    rows = _rows()
    table = ["| metric | definition | range |", "|---|---|---|"]
    table += [f"| [`{name}`]({name}.md) | {rows[name][0]} | {rows[name][1]} |" for name in METRICS]
    index = (
        "# Metrics\n\n"
        + "\n".join(table)
        + "\n\nThe words of the definitions are in [the semantics](../semantics.md#metrics).\n"
    )
    return {"index": index} | {name: _page(name, *rows[name]) for name in METRICS}


def _boxes(name: str) -> str:
    """Return a picture of a truth, a detection and their hull, with the value of the metric."""
    truth, detection = (40, 20, 200, 130), (110, 60, 260, 190)
    a, b = (np.array([side], dtype=np.float64) for side in (detection, truth))
    value = fastbox.aligned(a, b, metric=name)[0]
    hull = (*np.minimum(truth[:2], detection[:2]).tolist(), *np.maximum(truth[2:], detection[2:]).tolist())
    drawn = "".join(
        f'<rect class="{kind}" x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}"/>'
        for kind, (x0, y0, x1, y1) in (("hull", hull), ("truth", truth), ("detection", detection))
    )
    words = ((330, 60, "a: the detection, orange"), (330, 85, "b: the truth, green"), (330, 110, "hull: dashed"))
    said = "".join(
        f'<text x="{x}" y="{y}">{text}</text>' for x, y, text in (*words, (330, 150, f"{name}: {value:.4g}"))
    )
    head = f'<svg viewBox="0 0 640 210" role="img" aria-label="two boxes with a {name} of {value:.4g}">'
    return f'<figure class="curve">{head}{drawn}{said}</svg></figure>'


def _rows() -> dict[str, tuple[str, str]]:
    """Definition and range of each metric, from the table of the semantics."""
    rows = re.findall(r"^\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \| (.*) \| (.*) \|$", SEMANTICS.read_text(), re.MULTILINE)
    return {
        name: (text, span) for names, text, span in rows for name in re.findall("`(.*?)`", names) if name in METRICS
    }


def _page(name: str, definition: str, span: str) -> str:
    metric = METRICS[name]
    better = "lower is better: a distance, in pixels" if metric.distance else "higher is better: a similarity"
    a, b = (np.array(side, dtype=np.float64) for side in zip(*CASES.values(), strict=True))
    values = fastbox.aligned(a, b, metric=name)
    cases = [f"| {case} | {value:.6g} |" for case, value in zip(CASES, values.tolist(), strict=True)]
    loss = (
        f"\n\nAs a loss with its gradient: `fastbox.{name}_loss`, in [Losses](../api/losses.md)." if metric.loss else ""
    )
    return f"""# {metric.title}

{definition}

Range: {span}; {better}.

{_boxes(name)}

{_picture(name)}

A box of 10 × 10 pixels moves past another one of the same size: `{name}` by the distance of the two, in pixels.

```python
>>> import fastbox
>>> fastbox.aligned([[1, 0, 11, 10]], [[0, 0, 10, 10]], metric="{name}")
{fastbox.aligned([[1, 0, 11, 10]], [[0, 0, 10, 10]], metric=name)!r}
```

| case | `{name}` |
|---|---|
{chr(10).join(cases)}

Every function of [Comparing boxes](../api/comparing-boxes.md) takes `metric="{name}"`, and `fastbox measure` and
`fastbox pairs` take `--metrics {name}`.
{_speed(name)}{loss}
"""


def _speed(name: str) -> str:
    """Return a sentence on the time that a metric takes, from the table of benchmarks."""
    row = re.search(rf"^\| `{name}` \| ([\d.]+) \| ([\d.]+) \|$", BENCHMARKS.read_text(), re.MULTILINE)
    assert row is not None, f"expected a row of {name} in {BENCHMARKS.name}"
    link = "[Benchmarks](../benchmarks.md#metrics)"
    if name == "iou":
        return f"The times of other metrics are multiples of IoU's: {link}."
    return f"The matrix takes {row[1]} times as long as IoU's, `best` {row[2]} times: {link}."


def _picture(name: str) -> str:
    """Return a curve of the metric of a box that moves past another, as SVG in the colours of the page."""
    shift = np.linspace(-25, 25, 251)
    moved = np.stack([shift, np.zeros_like(shift), shift + 10, np.full_like(shift, 10)], axis=1)
    values = fastbox.aligned(moved, np.tile(np.array([BOX], dtype=np.float64), (len(shift), 1)), metric=name)
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))

    def across(pixels: Any) -> Any:
        return LEFT + (pixels + 25) / 50 * (WIDTH - LEFT - 8)

    def down(value: Any) -> Any:
        return 8 + (high - value) / (high - low) * (HEIGHT - BELOW - 8)

    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across(shift), down(values), strict=True))
    axis = f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{down(0):.1f}" y2="{down(0):.1f}"/>'
    marks = [
        f'<text x="{across(at):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{at}</text>' for at in (-20, -10, 0, 10, 20)
    ]
    marks += [
        f'<text x="{LEFT - 8}" y="{down(at) + 4:.0f}" text-anchor="end">{at:g}</text>'
        for at in sorted({round(low, 1), 0.0, round(high, 1)})
    ]
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name} by distance">'
    return f'<figure class="curve">{head}{axis}<polyline points="{points}"/>{"".join(marks)}</svg></figure>'
