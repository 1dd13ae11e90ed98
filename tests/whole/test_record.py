"""The data classes of fastbox are those of dataclasses, made faster."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any

import pytest

from fastbox import _record

OURS: Callable[..., Any] = _record.dataclass


class Fields:
    """Fields of every kind."""

    a: int
    b: str = "b"
    c: list[int] = field(default_factory=list)
    hidden: int = field(default=1, repr=False, compare=False)
    own: int = field(default=5, init=False)
    named: int = field(default=2, kw_only=True)


class More(Fields):
    d: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", self.a + 1)


def both(kind: type, **options: Any) -> list[Any]:
    """A class made by dataclasses, and by fastbox."""
    made = []

    def body(kind: type) -> dict[str, Any]:
        return {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}

    for maker in (dataclass, OURS):
        parent = maker(type("Fields", (), body(Fields)), **options) if kind is More else object
        made.append(maker(type(kind.__name__, (parent,), body(kind)), **options))
    return made


@OURS(frozen=True)
class Kept:
    """A class that can be pickled."""

    a: int
    b: tuple[int, ...] = ()


@pytest.mark.parametrize("kind", [Fields, More])
@pytest.mark.parametrize("frozen", [False, True])
def test_instances_are_alike(kind: type, frozen: bool) -> None:
    theirs, ours = both(kind, frozen=frozen)
    assert [one.name for one in dataclasses.fields(theirs)] == [one.name for one in dataclasses.fields(ours)]
    assert ours.__match_args__ == theirs.__match_args__
    for args, kwargs in [((1,), {}), ((1, "x", [3]), {"named": 7}), ((), {"a": 4, "hidden": 3})]:
        one, other = theirs(*args, **kwargs), ours(*args, **kwargs)
        assert repr(one) == repr(other)
        assert vars(one) == vars(other)
        assert dataclasses.asdict(one) == dataclasses.asdict(other)
        assert other == ours(*args, **kwargs) == copy.deepcopy(other) != one
        assert dataclasses.replace(other, b="new").b == "new"
    assert ours(1, hidden=2) == ours(1) != ours(2)
    assert ours(1).c is not ours(1).c


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"eq": False}, {"frozen": True, "eq": False}])
def test_hashes_are_alike(options: dict[str, bool]) -> None:
    theirs, ours = both(Fields, **options)
    assert (theirs.__hash__ is None) == (ours.__hash__ is None)
    if options == {"frozen": True}:
        assert hash(ours(1, c=())) == hash(ours(1, c=(), hidden=9)) == hash(theirs(1, c=()))


def test_frozen_fields_can_not_be_set() -> None:
    one = Kept(1)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'a'"):
        one.a = 2
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'a'"):
        del one.a
    assert pickle.loads(pickle.dumps(one)) == one
    assert {one: 1}[Kept(1)] == 1


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, (), 2), {}), ((1,), {"a": 1}), ((1,), {"c": 1}), ((), {"b": ()})]
)
def test_other_arguments_are_refused(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="expected other arguments of Kept, got: "):
        Kept(*args, **kwargs)


def test_own_methods_and_signatures_stay() -> None:
    theirs, ours = both(Fields)
    shown, told = inspect.signature(theirs), inspect.signature(ours)
    assert list(told.parameters) == list(shown.parameters)
    assert [one.kind for one in told.parameters.values()] == [one.kind for one in shown.parameters.values()]
    methods = {"__repr__": lambda self: "own", "__eq__": lambda self, other: True, "__hash__": lambda self: 3}
    own = OURS(type("Own", (), {"__annotations__": {"a": "int"}, "__module__": __name__, **methods}), frozen=True)
    assert (repr(own(1)), own(1) == own(2), hash(own(1))) == ("own", True, 3)


def test_a_subclass_has_the_signature_of_its_own_init() -> None:
    class Less(Kept):
        def __init__(self, c: float) -> None:
            super().__init__(int(c))

    assert list(inspect.signature(Less).parameters) == ["c"]
    assert Less(2.5).a == 2


def point(base: Any) -> Any:
    class Point(base):  # type: ignore[misc]
        """A point.

        Its own words.
        """

        x: int
        y: list[int] = []  # noqa: RUF012 - a default of a tuple
        z: Any = 1

        @property
        def double(self) -> int:
            return 2 * self.x

        @classmethod
        def of(cls, x: int) -> Any:
            return cls(x)

        def __add__(self, other: Any) -> Any:
            return self._replace(x=self.x + other.x)

    return Point


class Sent(_record.NamedTuple):
    """A tuple that can be pickled."""

    x: int
    y: str = "y"


def test_a_named_tuple_is_that_of_typing() -> None:
    theirs, ours = point(typing.NamedTuple), point(_record.NamedTuple)
    assert ours(3) == theirs(3) == (3, [], 1)
    assert hash(ours(1, ())) == hash(theirs(1, ()))
    assert repr(ours(3)) == repr(theirs(3))
    assert ours(3) + ours.of(4) == theirs(3) + theirs.of(4) == (7, [], 1)
    assert ours(3).double == theirs(3).double == 6
    for name in ("_fields", "_field_defaults", "__doc__", "__slots__", "__match_args__"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.__mro__[1:] == theirs.__mro__[1:]
    assert typing.get_type_hints(ours) == typing.get_type_hints(theirs)
    assert (ours.__module__, ours.__qualname__) == (theirs.__module__, theirs.__qualname__)
    assert pickle.loads(pickle.dumps(Sent(3))) == Sent(3)
    assert type(copy.copy(ours(3))) is ours
    assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]
    with pytest.raises(TypeError, match="x"):
        ours()
    with pytest.raises(AttributeError):
        ours(3).w = 1
