"""The same bits under another instruction set: every kernel's outputs, from libraries or for any ARM processor."""

from __future__ import annotations

import functools
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fastbox.kernels.build import native

BUILT = [level.name for level in native.available() if Path(native.file(level)).exists()]
LEVELS = {f"the library of {name}": {"FASTBOX_LEVEL": name} for name in BUILT}
GENERIC = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "+neon" if platform.machine() == "aarch64" else "+sse2"}
# Where libraries can be built, their own task tests them: the compiler is asked only where there are none.
PROCESSORS = LEVELS if native.available() else {"any processor": GENERIC}

PATHS = "import sys\nsys.path.insert(0, 'tests')\n"
PREAMBLE = """
import hashlib
import numpy as np
import fastbox
from strategies import some_boxes

def told(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    print(digest.hexdigest())

def two(dtype):
    a, b = some_boxes(70, dtype, 1, exact=False, bad=0.1), some_boxes(1100, dtype, 2, exact=False, bad=0.1)
    a[3::30] *= dtype(1e18)
    b[5::300] *= dtype(1e-18)
    b[7::50, 2] = b[7::50, 0]
    return a, b

for dtype in (np.float32, np.float64):
    a, b = two(dtype)
    c, d = b[:900], b[200:]
    rng = np.random.default_rng(0)
    scores = np.round(rng.random(len(b)), 2)
"""

PARTS = {
    "matrix": """
    for metric in fastbox.METRICS:
        told(fastbox.pairwise(a, b, metric=metric))
""",
    "aligned": """
    for metric in fastbox.METRICS:
        told(fastbox.aligned(c, d, metric=metric))
""",
    "reductions": """
    for metric in ("iou", "giou", "ciou", "l1"):
        told(*fastbox.best(a, b, metric=metric))
        told(*fastbox.top(a, b, 5, metric=metric))
        told(*fastbox.pairs(a, b, threshold=0.25, metric=metric))
        told(fastbox.histogram(a, b, metric=metric, range=(-1, 1)))
""",
    "index": """
    many = some_boxes(9000, dtype, 3, exact=False) * dtype(30)
    many[:, 2:] = many[:, :2] + dtype(20)
    for metric in ("iou", "giou"):
        told(*fastbox.best(many, many[::-1], metric=metric))
        told(*fastbox.pairs(many, threshold=0.25, metric=metric))
""",
    "losses": """
    for name in ("iou", "giou", "diou", "ciou", "eiou", "smooth_l1", "huber", "l1"):
        for reduction in ("none", "mean"):
            told(*getattr(fastbox, f"{name}_loss")(c, d, reduction=reduction, return_grad=True))
""",
    "coder": """
    deltas = fastbox.encode(c, d, weights=(10, 10, 5, 5))
    told(deltas, fastbox.decode(deltas, d), fastbox.decode(c / 100, d, clamp="both", max_ratio=50))
    told(*fastbox.giou_loss(fastbox.Deltas(c / 1000, d), c, return_grad=True))
""",
    "suppression": """
    told(fastbox.nms(b, scores, iou_threshold=0.3))
    for method in ("linear", "gaussian"):
        told(*fastbox.soft_nms(b, scores, method=method))
    told(*fastbox.weighted_boxes_fusion(b, scores)[:2])
""",
    "matching": """
    found = fastbox.match(b, a)
    told(found.labels, found.truths, found.values)
""",
    "elementary": """
    from fastbox.kernels.geometry.elementary import FUNCTIONS
    numbers = rng.uniform(-700, 700, 20000)
    for name in ("atan", "exp", "log"):
        out = np.empty_like(numbers)
        FUNCTIONS[numbers.dtype, name](abs(numbers) if name == "log" else numbers, out)
        told(out)
""",
}


@pytest.fixture(scope="module")
def compiled(python: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[[str], str]:
    """The digests of a part, by kernels compiled for this processor."""
    return functools.cache(lambda part: python(PATHS + PREAMBLE + PARTS[part], FASTBOX_JIT="1").stdout)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.compiler
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("part", PARTS)
def test_another_instruction_set_gives_the_same_bits(
    part: str,
    processor: str,
    python: Callable[..., subprocess.CompletedProcess[str]],
    compiled: Callable[[str], str],
) -> None:
    assert compiled(part).count("\n") >= 2
    assert python(PATHS + PREAMBLE + PARTS[part], **PROCESSORS[processor]).stdout == compiled(part)
