"""The lists of a JSON file of LVIS that say which classes its images are annotated for."""

from __future__ import annotations

import msgspec

__all__ = ["Lists"]


class Image(msgspec.Struct, gc=False):
    """An image, without the entries that an evaluation does not need."""

    id: int
    neg_category_ids: list[int]
    not_exhaustive_category_ids: list[int]


class Category(msgspec.Struct, gc=False):
    """A category with its frequency, if it has one."""

    id: int
    frequency: str = ""


class Lists(msgspec.Struct):
    """The lists of a file; annotations are skipped."""

    images: list[Image]
    categories: list[Category]
