"""Pages of the public names by topic; their text is that of the docstrings."""

from __future__ import annotations

import inspect
from typing import Any

import fastbox
import fastbox.fragments
import fastbox.jobs
import fastbox.losses

# The topic of a name is that of the first of these modules that it comes from.
TOPICS = {
    "Boxes": ("fastbox.boxes", "fastbox.values"),
    "Comparing boxes": ("fastbox.ops",),
    "Anchors and matching": ("fastbox.anchors", "fastbox.assign", "fastbox.coder"),
    "Suppression and fusion": ("fastbox.suppression",),
    "Losses": ("fastbox.losses",),
    "Evaluation": ("fastbox.evaluation",),
    "Tables in chunks": ("fastbox.tables", "fastbox.datasets"),
    "Threads, memory, time": ("fastbox.parallel", "fastbox.memory", "fastbox.stages", "fastbox.jobs.warming"),
    "Errors": ("fastbox.errors",),
}
CONSTANTS = {
    "FORMATS": "Boxes",
    "METRICS": "Comparing boxes",
    "LOSSES": "Losses",
    "RULES": "Anchors and matching",
}


def pages() -> dict[str, str]:
    """Return the text of each page by its name: one a topic, one of the jobs, one of the fragments."""
    names: dict[str, list[str]] = {topic: [] for topic in TOPICS}
    for name in fastbox.__all__:
        thing = getattr(fastbox, name)
        names[CONSTANTS.get(name) or _topic(thing)].append(name)
    made = {_slug(topic): _page(topic, fastbox, found) for topic, found in names.items()}
    made["jobs"] = _page("The functions behind the commands", fastbox.jobs, fastbox.jobs.__all__)
    made["fragments"] = _page("Fragments", fastbox.fragments, [n for n in fastbox.fragments.__all__ if n != "Engine"])
    return made


def names() -> frozenset[str]:
    """Return the full names of all functions and classes that have an entry."""
    packages = (fastbox, fastbox.jobs, fastbox.fragments)
    return frozenset(
        f"{package.__name__}.{name}"
        for package in packages
        for name in package.__all__
        if inspect.isroutine(getattr(package, name)) or inspect.isclass(getattr(package, name))
    )


def _topic(thing: Any) -> str:
    home = thing.__module__
    return next(topic for topic, homes in TOPICS.items() if home.startswith(homes))


def _slug(topic: str) -> str:
    return topic.lower().replace(",", "").replace(" ", "-")


def _page(title: str, package: Any, names: list[str]) -> str:
    return "\n".join([f"# {title}", "", *(_entry(package, name) for name in sorted(names, key=_place))])


def _place(name: str) -> tuple[int, str]:
    """Functions first, then classes, then constants, each by name."""
    return name[:1].isupper() + name.isupper(), name.lower()


def _entry(package: Any, name: str) -> str:
    thing = getattr(package, name)
    full = f"{package.__name__}.{name}"
    if not (inspect.isroutine(thing) or inspect.isclass(thing)):
        return f"## {full}\n\n{_values(thing)}\n"
    options = [f"      heading: {full}", f"      toc_label: {name}"]
    if inspect.isclass(thing):
        options += [f"      members: [{', '.join(_members(thing))}]"]
    return "\n".join([f"::: {full}", "    options:", *options, ""])


def _members(thing: type[Any]) -> list[str]:
    """The public methods of a class of fastbox that have something to say."""
    return [
        name
        for name, member in vars(thing).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)) and member.__doc__
    ]


def _values(values: tuple[str, ...]) -> str:
    return "The names that arguments take: " + ", ".join(f"`{value}`" for value in values) + "."
