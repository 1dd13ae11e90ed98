"""Checks of calls: unknown, missing and repeated arguments, and arguments of another type than annotated."""

from __future__ import annotations

import inspect
import numbers
import os
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fastbox.errors import nearest
from fastbox.values.numbers import shown

__all__ = ["both_or_neither", "bound", "check_types", "checked", "named"]

# Examples of the arguments that are objects of fastbox.
GIVE = {
    "anchors": "AnchorGrid.preset('retinanet')",
    "engine": "fastbox.fragments.threads",
    "limits": "jobs.Limits(near=0.9)",
    "params": "Params(iou_thresholds=[0.5, 0.75])",
    "resize": "jobs.Resize('shorter', 800, 1333)",
}
# Names of arguments in other libraries, and the arguments here that mean the same.
THEIRS = {
    "conf": ("min_score", "score_threshold"),
    "conf_thres": ("min_score", "score_threshold"),
    "idxs": ("classes",),
    "iou": ("threshold", "iou_threshold", "iou_thresholds"),
    "iou_thr": ("threshold", "iou_threshold"),
    "iou_thres": ("threshold", "iou_threshold"),
    "labels": ("classes",),
    "Nt": ("iou_threshold",),
    "score_thr": ("min_score", "score_threshold"),
    "score_threshold": ("min_score",),
    "skip_box_thr": ("min_score", "score_threshold"),
    "thresh": ("threshold", "iou_threshold"),
}
WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", os.PathLike: "a path"}
MANY = {str: "names", float: "numbers", int: "whole numbers"}

Parameters = ParamSpec("Parameters")
Found = TypeVar("Found")


def named(function: Callable[Parameters, Found]) -> Callable[Parameters, Found]:
    """Make a function name its arguments in the error of a call with arguments that it does not have.

    >>> named(lambda boxes, *, threshold: None)([], 0.5)
    Traceback (most recent call last):
    TypeError: expected 1 argument of <lambda> without a name (boxes), got 2: name the others, threshold=0.5
    """

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Found:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            bound(function, args, kwargs)
            raise

    return call


def checked(function: Callable[Parameters, Found]) -> Callable[Parameters, Found]:
    """Make a function check the names and types of its arguments before it runs."""

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Found:
        check_types(function, bound(function, args, kwargs).arguments)
        return function(*args, **kwargs)

    return call


def both_or_neither(**two: object) -> bool:
    """Tell whether two arguments that need each other were given.

    Raises
    ------
    ValueError
        One was given without the other.

    Examples
    --------
    >>> both_or_neither(classes=[1], truth_classes=[1]), both_or_neither(classes=None, truth_classes=None)
    (True, False)
    """
    (first, second), given = two, [name for name, value in two.items() if value is not None]
    if len(given) == 1:
        missing = second if given == [first] else first
        raise ValueError(f"expected {first}= and {second}= or neither, got {given[0]} and no {missing}")
    return bool(given)


def bound(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """Return the arguments of a call by their names.

    Raises
    ------
    TypeError
        The call does not match the signature; the message lists the arguments of the function.
    """
    signature = _signature(function)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        said = _misfit(function, signature, args, kwargs)
        raise TypeError(said or f"expected other arguments of {function.__name__}, got: {error}") from None


def check_types(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Refuse arguments of other types than the annotations of a function or class name.

    Raises
    ------
    TypeError
        An argument of another type; the message names the argument.

    Examples
    --------
    >>> def cut(rows: int) -> None: ...
    >>> check_types(cut, {"rows": "many"})
    Traceback (most recent call last):
    TypeError: expected rows as a whole number, got 'many'
    """
    hints = _hints(function)
    for name, value in arguments.items():
        if name in hints and not _fits(value, hints[name]):
            instead = _instead(name, value, hints[name])
            give = f": give {instead}" if instead else ""
            raise TypeError(f"expected {name} as {_type_name(hints[name])}, got {shown(value)}{give}")


@cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return typing.get_type_hints(inspect.unwrap(function))


def _fits(value: Any, hint: Any) -> bool:
    if type(value) is hint:
        return True
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, TypeVar | ParamSpec):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if hint in (None, type(None)):
        return value is None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if hint is bool:
        return isinstance(value, bool | np.bool_)
    if hint in (int, float):
        kind = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and not isinstance(value, bool)
    if origin is tuple:
        fixed = Ellipsis not in inner
        return _is_list(value) and (not fixed or len(value) == len(inner)) and _each(value, inner)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    if origin is not None and issubclass(origin, Collection):
        return _is_list(value) and (set(map(type, value)) == {inner[0]} or all(_fits(one, inner[0]) for one in value))
    if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]
        return callable(value)
    return isinstance(value, origin or hint)


def _is_list(value: Any) -> bool:
    """Tell whether a value is a list, a tuple, an array or another collection of values."""
    return isinstance(value, Collection | np.ndarray) and not isinstance(value, str | bytes | Mapping)


def _each(values: Any, hints: tuple[Any, ...]) -> bool:
    return all(_fits(value, hint) for value, hint in zip(values, hints, strict=False) if hint is not Ellipsis)


def _type_name(hint: Any) -> str:
    """Return the name of a type in a message."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        path = any(typing.get_origin(one) is os.PathLike for one in inner)
        kinds = [one for one in inner if one is not type(None) and not (path and one is str)]
        return " or ".join(dict.fromkeys(map(_type_name, kinds)))
    if origin is tuple:
        return f"{len(inner)} {MANY.get(inner[0], 'values')}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a dict of {' to '.join(map(_type_name, inner))}"
    if origin is not None and issubclass(origin, Collection):
        return f"a list of {MANY[inner[0]]}" if inner[0] in MANY else "a list"
    if origin is not None and issubclass(origin, Callable):  # type: ignore[arg-type]
        return "a function"
    kind = origin or hint
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return WORDS.get(kind, f"{article} {kind.__name__}")


def _instead(name: str, value: Any, hint: Any) -> str:
    """Return the code of a value that the argument takes instead of the given one; empty where none is known."""
    if isinstance(value, str) and name in ("anchors", "job"):
        return f"AnchorGrid.preset({value!r})" if name == "anchors" else f"jobs.{value}"
    if name in GIVE:
        return GIVE[name]
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if name == "class_column":
        return "'category_id'"
    for kind in kinds:
        listed, inner = typing.get_origin(kind), typing.get_args(kind)
        if listed is tuple:
            parts = re.split("[x, ]+", value) if isinstance(value, str) else [value] * len(inner)
            made = tuple(map(_read, parts, inner))
            return repr(made) if len(parts) == len(inner) and _each(made, inner) else ""
        if listed is not None and issubclass(listed, Sequence) and isinstance(value, str | os.PathLike | float | int):
            parts = value.split(",") if isinstance(value, str) else [value]
            made_list = [_read(part, inner[0]) for part in parts]
            return repr(made_list) if _fits(made_list, kind) else ""
    if isinstance(value, float) and value.is_integer() and int in kinds:
        return str(int(value))
    read = next((_read(value, kind) for kind in kinds if kind in (int, float)), value)
    return "" if isinstance(read, str) or not _fits(read, hint) else repr(read)


def _read(value: Any, kind: Any) -> Any:
    """Return the number that a text holds, and any other value unchanged."""
    try:
        return kind(value) if isinstance(value, str) and kind in (int, float) else value
    except ValueError:
        return value


def _misfit(
    function: Callable[..., Any], signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> str:
    """Return the message for a call that does not match a signature; empty where the cause is unknown."""
    called, parameters = function.__name__, dict(signature.parameters)
    if called == "__init__":
        called, args = function.__qualname__.split(".")[-2], args[1:]
        del parameters[next(iter(parameters))]
    places = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    known = [name for name, one in parameters.items() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    kinds = {one.kind for one in parameters.values()}
    strange = [name for name in kwargs if name not in known]
    if strange and inspect.Parameter.VAR_KEYWORD not in kinds:
        meant = _meant(function, strange[0], known)
        return f"expected arguments that {called} has ({', '.join(known)}), got {strange[0]}{meant}"
    if len(args) > len(places) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        many = f"{len(places)} argument{'s' if len(places) > 1 else ''} of {called} without a name"
        rest = [name for name in known if name not in places and name not in kwargs]
        more = args[len(places) :]
        simple = len(more) == 1 and isinstance(more[0], int | float | str)
        value = repr(more[0]) if simple else "..."
        advice = f": name the others, {rest[0]}={value}" if rest else ": leave the others out"
        return f"expected {many} ({', '.join(places)}), got {len(args)}{advice}"
    twice = [name for name in places[: len(args)] if name in kwargs]
    if twice:
        return f"expected {twice[0]} of {called} once, got it by its place and by its name: leave one out"
    needed = [name for name in known if parameters[name].default is inspect.Parameter.empty]
    missing = [name for name in needed if name not in places[: len(args)] and name not in kwargs]
    if missing:
        example = ", ".join(name if name in places else f"{name}=..." for name in needed)
        return f"expected {' and '.join(missing)} in a call of {called}, got none: give {called}({example})"
    return ""


def meant(strange: str, known: Collection[str]) -> str | None:
    """Return the known name that users of another library mean by a name, or else the one that is most like it.

    >>> meant("conf_thres", ["iou_threshold", "min_score"]), meant("iou_treshold", ["iou_threshold", "min_score"])
    ('min_score', 'iou_threshold')
    """
    return next((name for name in THEIRS.get(strange, ()) if name in known), None) or nearest(strange, known)


def _meant(function: Callable[..., Any], strange: str, known: Sequence[str]) -> str:
    """Return advice that names the argument most like an unknown name; empty where none is like it."""
    if near := meant(strange, known):
        return f": did you mean {near}?"
    for name, hint in _hints(function).items():
        for kind in typing.get_args(hint) or (hint,):
            own = list(getattr(kind, "__dataclass_fields__", ())) if name in GIVE else []
            if found := nearest(strange, own):
                return f": give {name}={GIVE[name].partition('(')[0]}({found}=...)"
    return ""
