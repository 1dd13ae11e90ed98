"""The measures of overlap: IoU, and intersection over the smaller area."""

from __future__ import annotations

from enum import Enum
from typing import Any

from fastbox.values.numbers import shown

__all__ = ["OverlapMetric", "as_metric"]


class OverlapMetric(Enum):
    """The measure of the overlap of two boxes: ``IOU``, over the union, or ``IOS``, over the smaller area.

    Examples
    --------
    >>> OverlapMetric.from_value("ios")
    <OverlapMetric.IOS: 'IOS'>
    """

    IOU = "IOU"
    IOS = "IOS"

    @classmethod
    def list(cls) -> list[str]:
        """Return the names of the measures."""
        return [one.value for one in cls]

    @classmethod
    def from_value(cls, value: Any) -> OverlapMetric:
        """Return the measure of a name in any case, or of a member of this or of supervision's enum.

        Raises
        ------
        ValueError
            Any other value.
        """
        name = getattr(value, "value", value)
        found = {one.value: one for one in cls}.get(name.upper() if isinstance(name, str) else "")
        if found is None:
            raise ValueError(f"expected an overlap metric of IOU, IOS, got {shown(value)}")
        return found


def as_metric(value: Any) -> str:
    """Return fastbox's name of a measure.

    >>> as_metric("IOS")
    'ios'
    """
    return OverlapMetric.from_value(value).value.lower()
