"""A plugin of pytest that puts ``fastbox.compat`` in the place of a package while the package's own tests run.

``nox -s suites`` loads it. Tests that are left out are named with their reason at the end of the run.
"""

from __future__ import annotations

import enum
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from support.peers import peer


class Suite(NamedTuple):
    """The tests of a package: what takes its place, and parts of the names of tests that are left out, with reasons."""

    place: Callable[[], object]
    left_out: Mapping[str, str]


def replaced(package: str, ours: str) -> Callable[[], None]:
    """Return a function that sets the names of a module of fastbox in all modules of a package that have them."""

    def place() -> None:
        peer(package)
        found = importlib.import_module(ours)
        named = {name: getattr(found, name) for name in found.__all__}
        functions = {name: one for name, one in named.items() if callable(one) and not isinstance(one, enum.EnumType)}
        replaced: set[str] = set()
        for name, module in list(sys.modules.items()):
            if name == package or name.startswith(f"{package}."):
                for one in functions.keys() & vars(module).keys():
                    setattr(module, one, functions[one])
                    replaced.add(one)
        assert replaced == functions.keys(), f"{package} lacks {functions.keys() - replaced}"

    return place


def in_torchmetrics() -> None:
    """Replace the metric; the module of its tests makes inputs with masks when it is imported, as torchmetrics does."""
    theirs = peer("torchmetrics.detection").MeanAveragePrecision
    replaced("torchmetrics", "fastbox.compat.torchmetrics")()
    ours = peer("torchmetrics.detection").MeanAveragePrecision
    of_boxes = ours.coco_to_tm

    def coco_to_tm(self: Any, preds: Any, target: Any, iou_type: str = "bbox", **options: Any) -> Any:
        if iou_type == "bbox":
            return of_boxes(preds, target, iou_type, **options)
        return theirs().coco_to_tm(preds, target, iou_type, **options)

    ours.coco_to_tm = coco_to_tm


def patched() -> None:
    importlib.import_module("fastbox.compat.cocoeval").patch("faster_coco_eval")


MASKS = "masks are refused, or not replaced"
WORDS = "errors and warnings have the words of fastbox"
ZERO = "an annotation with id 0 is found, which is never found by the others"
SUITES = {
    "torchmetrics": Suite(
        in_torchmetrics,
        {
            "segm": MASKS,
            "test_compare_both_same_time": MASKS,
            "test_error_on_wrong_init": WORDS,
            "test_error_on_wrong_input": WORDS,
            "test_warning_on_many_detections[True": WORDS,
            "test_with_more_and_less_detection_thresholds": WORDS,
        },
    ),
    "supervision": Suite(replaced("supervision", "fastbox.compat.supervision"), {"mask": MASKS}),
    "faster_coco_eval": Suite(
        patched,
        {
            **dict.fromkeys(("segm", "keypoints", "test_coco_eval"), MASKS),
            **dict.fromkeys(("test_auc", "test_confusion", "test_rerp", "test_extended"), "extra_calc is refused"),
            "test_bad_iou_type": WORDS,
            **dict.fromkeys(("test_bbox_detection_extensive", "test_edge_case_perfect", "test_mixed"), ZERO),
        },
    ),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--in-place-of", choices=sorted(SUITES), required=True, help="the package whose tests run")


def pytest_configure(config: pytest.Config) -> None:
    SUITES[config.getoption("in_place_of")].place()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reasons = SUITES[config.getoption("in_place_of")].left_out
    gone = [item for item in items if any(part in item.nodeid for part in reasons)]
    config.hook.pytest_deselected(items=gone)
    items[:] = [item for item in items if item not in gone]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for part, reason in SUITES[config.getoption("in_place_of")].left_out.items():
        terminalreporter.write_line(f"left out: {part} ({reason})")
