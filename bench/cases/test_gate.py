"""The gate: its floors do the same work as the kernels, and only a kernel that stays below its bound fails."""

from __future__ import annotations

import numpy as np
import pytest

import fastbox
from bench.promises import gate
from bench.promises.turns import Reached
from bench.support import naive, scenes
from bench.support.shapes import Sizes, boxes


def test_every_kernel_and_its_floor_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main(["--quick"]) == 0
    assert f"{len(gate.GATES)} kernels in" in capsys.readouterr().out


def test_plain_loops_agree_with_the_kernels() -> None:
    a, b = boxes(90, "float64", seed=1, kind="crowded"), boxes(80, "float64", seed=2, kind="crowded")
    assert np.array_equal(naive.histogram(a, b, 20), fastbox.histogram(a, b))
    detections, scores = scenes.heaped(400)
    assert np.array_equal(naive.nms(detections, scores, 0.5), fastbox.nms(detections, scores, iou_threshold=0.5))


@pytest.mark.parametrize(("reached", "code"), [([0.5], 0), ([0.1, 0.2, 0.4], 0), ([0.1, 0.2, 0.2], 1)])
def test_a_kernel_below_its_bound_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, reached: list[float], code: int
) -> None:
    coming = iter(reached)

    def measured(asked: gate.Gate, sizes: Sizes, rounds: int) -> Reached:
        value = next(coming)
        return Reached(value, value, value)

    monkeypatch.setattr(gate, "measured", measured)
    monkeypatch.setattr(gate, "GATES", (gate.Gate("fill", "fill", 0.3, gate.fill),))
    assert gate.main([]) == code
    assert next(coming, None) is None
