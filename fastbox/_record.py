"""Data classes that share their methods, and named tuples whose annotations stay text.

``dataclasses.dataclass`` writes out and compiles up to six methods for each class, which takes most of a millisecond in
Python 3.11: a command loads fifty such classes, and spent a tenth of its start there. The methods here are closures and
take a twentieth of that. The classes are those of ``dataclasses`` otherwise, with its fields and ``replace``.

``typing.NamedTuple`` compiles the annotation of each field, which takes as long as all else that it does. The classes
here are those of ``collections.namedtuple``, with the annotations, methods and defaults of their bodies.
"""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

from fastbox._lazy import Annotation

__all__ = ["NamedTuple", "dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
    from typing import NamedTuple
else:

    class _Named(type):
        def __new__(kind, name, bases, body):
            if not bases:
                return super().__new__(kind, name, bases, body)
            notes = body.get("__annotations__", {})
            defaults = [body[field] for field in notes if field in body]
            made = namedtuple(name, notes, defaults=defaults, module=body["__module__"])
            made.__new__.__annotations__ = {field: Annotation(note) for field, note in notes.items()}
            for member, value in body.items():
                if member not in notes:
                    setattr(made, member, value)
            return made

    class NamedTuple(metaclass=_Named):
        """A class whose annotated names are the fields of a tuple.

        >>> class Point(NamedTuple):
        ...     x: int
        ...     y: int = 0
        >>> Point(3), Point(3) == (3, 0)
        (Point(x=3, y=0), True)
        """

    def dataclass(cls=None, /, **options):
        """Make a class a data class; the options are ``init``, ``repr``, ``eq`` and ``frozen`` of ``dataclasses``.

        >>> @dataclass(frozen=True)
        ... class Point:
        ...     x: int
        ...     y: int = 0
        >>> Point(3), Point(3) == Point(3, 0), dataclasses.replace(Point(3), y=1)
        (Point(x=3, y=0), True, Point(x=3, y=1))
        """
        return _made(cls, **options) if cls is not None else lambda cls: _made(cls, **options)


def _made(cls: type, init: bool = True, repr: bool = True, eq: bool = True, frozen: bool = False) -> type:
    own = vars(cls)
    if own.get("__doc__") is None:
        cls.__doc__ = cls.__name__  # or dataclasses would make one of the signature
    fields = dataclasses.fields(dataclasses.dataclass(init=False, repr=False, eq=False)(cls))
    compared = _values([one.name for one in fields if one.compare])
    methods: dict[str, Any] = {}
    if init:
        made = _init(cls, fields)
        methods |= {"__init__": made, "__signature__": _Signature(made)}
    if repr and "__repr__" not in own:
        methods["__repr__"] = _repr([one.name for one in fields if one.repr])
    if eq and "__eq__" not in own:
        methods["__eq__"] = _eq(compared)
    if eq and own.get("__hash__") is None:
        methods["__hash__"] = _hash(compared) if frozen else None
    if frozen:
        methods |= {"__setattr__": _set_frozen, "__delattr__": _delete_frozen}
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _init(cls: type, fields: Sequence[Field[Any]]) -> Callable[..., None]:
    """Return the method that sets the fields."""
    taken = [one for one in fields if one.init]
    positional = [one.name for one in taken if not one.kw_only]
    names = {one.name for one in taken}
    required = {one.name for one in taken if one.default is MISSING and one.default_factory is MISSING}
    made = [one for one in fields if one.init or one.default_factory is not MISSING]
    plan = [(one.name, one.default, one.default_factory) for one in made]
    follows, put = hasattr(cls, "__post_init__"), object.__setattr__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        given = {**dict(zip(positional, args, strict=False)), **kwargs}
        fit = len(args) <= len(positional) and len(given) == len(args) + len(kwargs)
        if not (fit and required <= given.keys() <= names):
            _refuse(cls, args, kwargs)
        for name, default, factory in plan:
            if name in given:
                put(self, name, given[name])
            elif factory is not MISSING:
                put(self, name, factory())
            else:
                put(self, name, default)
        if follows:
            self.__post_init__()

    return init


def _repr(names: Sequence[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def show(self: Any) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    return show


def _eq(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], Any]:
    def equal(self: Any, other: object) -> Any:
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    return equal


def _hash(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    def hashed(self: Any) -> int:
        return hash(values(self))

    return hashed


def _values(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that returns some attributes of an object."""
    return attrgetter(*names) if len(names) > 1 else lambda self: tuple(getattr(self, name) for name in names)


def _set_frozen(self: object, name: str, value: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete_frozen(self: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _refuse(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise the error of a call with arguments that do not fit."""
    try:
        _signature(cls).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"expected other arguments of {cls.__name__}, got: {error}") from None


class _Signature:
    """The signature of a class, made when it is asked for; none where a subclass has an ``__init__`` of its own."""

    def __init__(self, init: Callable[..., None]) -> None:
        self._init = init

    def __get__(self, instance: object, owner: type) -> Any:
        if vars(owner).get("__init__", self._init) is not self._init:
            raise AttributeError("__signature__")
        return _signature(owner)


def _signature(cls: type) -> Any:
    from inspect import Parameter, Signature

    parameters = []
    for one in sorted((one for one in dataclasses.fields(cls) if one.init), key=lambda one: bool(one.kw_only)):
        kind = Parameter.KEYWORD_ONLY if one.kw_only else Parameter.POSITIONAL_OR_KEYWORD
        default = Parameter.empty if one.default is MISSING else one.default
        default = default if one.default_factory is MISSING else one.default_factory
        shown = Annotation(one.type) if isinstance(one.type, str) else one.type
        parameters.append(Parameter(one.name, kind, default=default, annotation=shown))
    return Signature(parameters, return_annotation=None)
