"""Anchors to truths, detections to truths, and suppression: fastbox beside its peers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import THREADS, Case, require
from bench.support import matcher, scenes
from bench.support.shapes import Sizes

SIZE = (1333, 800)
TRUTHS = (7, 30, 100)


def scene(sizes: Sizes, truths: int) -> tuple[Any, tuple[int, int], Any]:
    size = (320, 256) if sizes.quick else SIZE
    return fastbox.AnchorGrid.preset("retinanet"), size, scenes.truths(truths, size=SIZE)


def facts(truths: int, form: str) -> dict[str, Any]:
    size = f"{truths} truths"
    shape = f"201600 anchors, {size}"
    return {"kernel": f"match {form}", "metric": "iou", "dtype": "float32", "size": size, "shape": shape}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("form", ["sparse", "dense"])
@pytest.mark.parametrize("truths", TRUTHS)
def test_match(case: Case, sizes: Sizes, truths: int, form: str, threads: int) -> None:
    grid, size, found = scene(sizes, truths)
    case(
        lambda: fastbox.match(grid, found, rule="torchvision", size=size, sparse=form == "sparse"),
        name="fastbox",
        role="ours",
        threads=threads,
        **facts(truths, form),
    )


@pytest.mark.parametrize("truths", TRUTHS)
def test_match_in_torch(case: Case, sizes: Sizes, truths: int) -> None:
    require("torch")
    import torch

    grid, size, found = scene(sizes, truths)
    anchors = grid.boxes(size).corners()
    tensors = torch.from_numpy(found), torch.from_numpy(anchors)
    ours = fastbox.match(grid, found, rule="torchvision", size=size)

    def same(told: Any) -> None:
        labels = np.where(ours.labels == 0, matcher.BELOW, np.where(ours.labels == 1, ours.truths, matcher.BETWEEN))
        np.testing.assert_array_equal(told.numpy(), labels)

    case(
        lambda: matcher.match(*tensors),
        name="torch",
        role="peer",
        threads=THREADS[-1],
        expected=same,
        rounds=5,
        **facts(truths, "dense"),
    )


SCENES = {"crowded": 33_000, "scattered": 1_000_000}


def detections(sizes: Sizes, name: str) -> tuple[Any, Any]:
    n = sizes.of(SCENES[name])
    if name == "crowded":
        return scenes.crowded(n)
    return scenes.scattered(n), np.random.default_rng(0).permutation(n).astype(np.float32)


def kept(name: str) -> dict[str, Any]:
    return {"kernel": f"nms {name}", "metric": "iou", "size": name, "shape": f"{SCENES[name]}", "dtype": "float64"}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", SCENES)
def test_nms(case: Case, sizes: Sizes, name: str, threads: int) -> None:
    boxes, scores = (side.astype(np.float64) for side in detections(sizes, name))
    case(
        lambda: fastbox.nms(boxes, scores, iou_threshold=0.5),
        name="fastbox",
        role="ours",
        threads=threads,
        boxes=len(boxes),
        rounds=5,
        **kept(name),
    )


@pytest.mark.parametrize("peer", ["powerboxes", "lsnms"])
@pytest.mark.parametrize("name", SCENES)
def test_nms_of_peers(case: Case, sizes: Sizes, name: str, peer: str) -> None:
    require(peer)
    boxes, scores = (side.astype(np.float64) for side in detections(sizes, name))
    ours = set(fastbox.nms(boxes, scores, iou_threshold=0.5).tolist())
    if peer == "powerboxes":
        import powerboxes

        def theirs() -> Any:
            return powerboxes.rtree_nms(boxes, scores, 0.5, 0.0)
    else:
        import lsnms

        def theirs() -> Any:
            return lsnms.nms(boxes, scores, iou_threshold=0.5)

    def same(found: Any) -> None:
        assert set(np.asarray(found).tolist()) == ours

    case(theirs, name=peer, role="peer", boxes=len(boxes), expected=same, rounds=2, **kept(name))
