"""Losses with their gradients, and boxes as deltas from anchors."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.promises.same_figures.inputs import Inputs
from bench.promises.same_figures.spellings import call, public

Call = tuple[str, Callable[[], Any]]

TYPES = (np.float32, np.float64)
N = 800
TERMS: dict[str, Any] = {
    "plain": {},
    "weights": {"weights": (10.0, 10.0, 5.0, 5.0)},
    "terms": {"weights": (2.0, 1.0, 3.0, 4.0), "means": (0.1, -0.1, 0.0, 0.2), "stds": (0.1, 0.1, 0.2, 0.3)},
}


def calls(given: Inputs) -> Iterator[Call]:
    """Yield all losses and deltas."""
    yield "LOSSES", lambda: list(public("LOSSES"))
    yield from of_boxes(given)
    yield from of_deltas(given)
    yield from coder(given)
    if importlib.util.find_spec("torch"):
        yield from tensors(given)


def of_boxes(given: Inputs) -> Iterator[Call]:
    """Yield every loss with its gradient, in every reduction, type and format."""
    weights = np.random.default_rng(2).random(N)
    for name in public("LOSSES"):
        for dtype in TYPES:
            a, b = given.a[:N].astype(dtype), given.b[:N].astype(dtype)
            valid = np.isfinite(a).all(1) & np.isfinite(b).all(1)
            a, b, few = a[valid], b[valid], weights[valid]
            for reduction in ("none", "box", "sum", "mean"):
                key = f"{name}.{np.dtype(dtype).name}.{reduction}"
                yield key, call(name, a, b, reduction=reduction)
                yield f"{key}.grad", call(name, a, b, reduction=reduction, return_grad=True)
                if reduction != "none" or name[:2] not in ("l1", "sm", "hu"):
                    options = {"reduction": reduction, "weights": few, "return_grad": True}
                    yield f"{key}.weights", call(name, a, b, **options)
            yield f"{name}.{np.dtype(dtype).name}.invalid", call(name, given.a[:N], given.b[:N], reduction="box")
        for option in ("beta", "delta"):
            if name == {"beta": "smooth_l1_loss", "delta": "huber_loss"}[option]:
                yield f"{name}.{option}", call(name, a, b, return_grad=True, **{option: 12.5})
        for form in public("FORMATS"):
            boxes = public("Boxes")(given.a[:N], form), public("Boxes")(given.b[:N])
            yield f"{name}.{form}", call(name, *boxes, reduction="none", return_grad=True)


def of_deltas(given: Inputs) -> Iterator[Call]:
    """Yield every loss of predictions that are deltas from anchors."""
    kind = public("Deltas")
    valid = np.isfinite(given.b[:N]).all(1)
    for dtype in TYPES:
        anchors: Any = given.b[:N][valid].astype(dtype)
        wanted = anchors + np.random.default_rng(9).random(anchors.shape).astype(dtype) * 9
        deltas = np.random.default_rng(4).normal(0, 0.3, anchors.shape).astype(dtype)
        for terms, options in TERMS.items():
            given_deltas = kind(deltas, anchors, **options)
            name = f"deltas.{np.dtype(dtype).name}.{terms}"
            yield f"{name}.boxes", partial(corners_of, given_deltas)
            for loss in public("LOSSES"):
                yield f"{name}.{loss}", call(loss, given_deltas, wanted, reduction="mean", return_grad=True)
                yield f"{name}.{loss}.none", call(loss, given_deltas, wanted, reduction="none", return_grad=True)


def corners_of(deltas: Any) -> Any:
    """Return the boxes that deltas stand for."""
    return deltas.boxes().corners()


def coder(given: Inputs) -> Iterator[Call]:
    """Yield deltas and the boxes made of them."""
    for dtype in TYPES:
        a, b = np.nan_to_num(given.a[:N]).astype(dtype), given.b[:N].astype(dtype)
        deltas = np.random.default_rng(4).normal(0, 1, (N, 4)).astype(dtype)
        many = np.random.default_rng(5).normal(0, 1, (N, 12)).astype(dtype)
        for terms, options in TERMS.items():
            name = f"{np.dtype(dtype).name}.{terms}"
            yield f"encode.{name}", call("encode", a, b, **options)
            yield f"decode.{name}", call("decode", deltas, b, **options)
            yield f"decode.{name}.classes", call("decode", many, b, **options)
            for form in public("FORMATS"):
                yield f"decode.{name}.{form}", call("decode", deltas, b, format=form, size=(640, 480), **options)
        for clamp in (None, "above", "both"):
            yield f"decode.{np.dtype(dtype).name}.clamp.{clamp}", call("decode", deltas * 4, b, clamp=clamp)
        yield f"decode.{np.dtype(dtype).name}.ctr", call("decode", deltas * 9, b, ctr_clamp=32.0, max_ratio=8.0)


def tensors(given: Inputs) -> Iterator[Call]:
    """Yield every loss of tensors and its gradient, in every reduction and type."""
    torch = importlib.import_module("torch")
    for name in public("LOSSES"):
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            for reduction in ("none", "sum", "mean"):
                yield f"torch.{name}.{dtype}.{reduction}", partial(of_tensors, given, name, dtype, reduction)


def of_tensors(given: Inputs, name: str, dtype: Any, reduction: str) -> dict[str, Any]:
    """Return a loss of tensors and its gradient."""
    torch = importlib.import_module("torch")
    pred = torch.tensor(np.nan_to_num(given.a[:N]), dtype=dtype, requires_grad=True)
    loss = public(f"torch.{name}")(pred, torch.tensor(given.b[:N], dtype=dtype), reduction=reduction)
    loss.sum().backward()
    return {"loss": loss.detach().double().numpy(), "grad": pred.grad.double().numpy()}
