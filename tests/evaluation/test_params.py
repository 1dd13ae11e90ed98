"""Rules of an evaluation that can not be are refused."""

from __future__ import annotations

from typing import Any

import pytest

from fastbox.evaluation import Params


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"iou_thresholds": []}, "expected thresholds of IoU that are numbers, got []"),
        ({"iou_thresholds": [float("nan")]}, "expected thresholds of IoU"),
        ({"max_dets": [0]}, "expected max_dets to be whole numbers of at least 1"),
        ({"max_dets": []}, "expected max_dets to be whole numbers of at least 1"),
        ({"recalls": [0.5, 0.1]}, "expected recalls that ascend"),
        ({"area_ranges": {}}, "expected 1 to 31 ranges of areas, got 0"),
        ({"area_ranges": {"all": (5, 1)}}, "expected a range of areas from low to high for 'all'"),
        ({"area_ranges": {"all": (-1, 1)}}, "for 'all', 0 or more, got -1 to 1"),
        ({"area_ranges": {"all": (0, float("nan"))}}, "for 'all', 0 or more, got 0 to nan"),
        ({"iou_thresholds": [50, 75]}, "at most 1, got 50,75: as shares of 1 they are 0.5,0.75"),
        ({"iou_thresholds": [0.5, 1.5]}, "above 0 and at most 1, got 0.5,1.5"),
        ({"iou_thresholds": [0]}, "above 0 and at most 1, got 0"),
        ({"iou_thresholds": [-0.5]}, "above 0 and at most 1, got -0.5"),
        ({"iou_thresholds": [float("inf")]}, "above 0 and at most 1, got inf"),
        ({"iou_thresholds": [0.5, 0.5]}, "expected each threshold of IoU once"),
        ({"max_dets": [-1, 100]}, "expected max_dets to be whole numbers of at least 1, got [-1, 100]"),
        ({"max_dets": [1.5]}, "expected max_dets as a list of whole numbers, got [1.5]"),
        ({"max_dets": [float("nan")]}, "expected max_dets as a list of whole numbers"),
        ({"recalls": [0.5, 50]}, "expected recalls that ascend, from 0 to 1"),
    ],
)
def test_rules_that_can_not_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as error:
        Params(**given)
    assert message in str(error.value)
