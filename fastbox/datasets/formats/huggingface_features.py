"""The features of Hugging Face's tables: the types of columns and the names of categories, in a file's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from fastbox.datasets.categories import by_number
from fastbox.datasets.dataset import COORDINATES, IMAGES, Dataset, images_schema

__all__ = ["OBJECTS", "categories_of", "labels_of", "schema_of"]

OBJECTS = "objects"
# A ClassLabel has a name for every number from 0 on; with more names than this, categories stay numbers.
MOST_LABELS = 65_536


def categories_of(record: Mapping[str, Any], metadata: Mapping[bytes, bytes] | None, category: str) -> dict[int, str]:
    """Return the names of categories in a footer: those of fastbox's own record, else those of a ClassLabel."""
    if "categories" in record:
        return by_number(record["categories"])
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"][OBJECTS]
        return dict(enumerate(_class_names(_below(features, category))))
    except (LookupError, TypeError, ValueError, RecursionError):
        return {}


def _below(features: Any, name: str) -> Any:
    """Return the feature of a name: within the feature of a list, or in a list, as older versions write it."""
    while name not in features:
        features = features[0] if isinstance(features, list) else features["feature"]
    return features[name]


def _class_names(feature: Any) -> list[str]:
    while "names" not in feature:
        feature = feature[0] if isinstance(feature, list) else feature["feature"]
    names = feature["names"]
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def labels_of(categories: Mapping[int, str], used: set[int]) -> list[str]:
    """Return the names of a ClassLabel, which are numbered from 0; no names for categories that it can't hold."""
    numbers = used | categories.keys()
    if not categories or min(numbers) < 0 or max(numbers) >= MOST_LABELS:
        return []
    names = [categories.get(number, str(number)) for number in range(max(numbers) + 1)]
    return names if len(set(names)) == len(names) else []


def schema_of(dataset: Dataset, labels: list[str]) -> pa.Schema:
    """Return the schema of a file, with the features that Hugging Face's ``datasets`` reads from its metadata."""
    given = {field.name: field.type for field in dataset.schema}
    rest = given.keys() - {*IMAGES, "category_id", *(name for names in COORDINATES.values() for name in names)}
    special = {"bbox": pa.list_(pa.float64(), 4), "category": pa.int64()}
    order = ("id", "area", *special, *(name for name in given if name in rest))
    inner = {name: special.get(name) or given[name] for name in dict.fromkeys(order) if name in rest or name in special}
    images = images_schema(given["image_id"])
    if not dataset.images()["file_name"].drop_null():
        images = images.remove(images.get_field_index("file_name"))
    objects = pa.struct([(name, pa.list_(kind)) for name, kind in inner.items()])
    features: dict[str, Any] = {field.name: _value(field.type) for field in images}
    features[OBJECTS] = {name: {"feature": _value(kind), "_type": "Sequence"} for name, kind in inner.items()}
    features[OBJECTS]["bbox"]["feature"] = {"feature": _value(pa.float64()), "length": 4, "_type": "Sequence"}
    if labels:
        features[OBJECTS]["category"]["feature"] = {"names": labels, "_type": "ClassLabel"}
    return images.append(pa.field(OBJECTS, objects)).with_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )


def _value(kind: pa.DataType) -> dict[str, str]:
    ours = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return {"dtype": ours.get(str(kind), str(kind)), "_type": "Value"}
