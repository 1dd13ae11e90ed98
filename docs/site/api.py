"""Pages of the public names by topic; their text is that of the docstrings."""

from __future__ import annotations

import ast
import inspect
from importlib.machinery import PathFinder
from pathlib import Path
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
# Modules that need a package of an extra: they are read, not imported.
MODULES = {
    "torch": ("fastbox.torch",),
    "frames": ("fastbox.frames.accessor", "fastbox.duckdb"),
    "compat": (
        "fastbox.compat.cocoeval",
        "fastbox.compat.faster_coco_eval",
        "fastbox.compat.torchmetrics",
        "fastbox.compat.torchvision.ops",
        "fastbox.compat.supervision",
    ),
}
TITLES = {
    "jobs": "The functions behind the commands",
    "fragments": "Fragments",
    "torch": "Losses and assignment for torch",
    "frames": "Frames and DuckDB",
    "compat": "In place of other packages",
}
ROOT = Path(fastbox.__file__).parents[1]


def pages() -> dict[str, str]:
    """Return the text of each page by its name: one a topic, then those of modules."""
    topics: dict[str, list[str]] = {topic: [] for topic in TOPICS}
    for name in fastbox.__all__:
        topics[CONSTANTS.get(name) or _topic(getattr(fastbox, name))].append(name)
    made = {
        _slug(topic): _page(topic, [_entry(fastbox, name) for name in _sorted(found)])
        for topic, found in topics.items()
    }
    for package in (fastbox.jobs, fastbox.fragments):
        page = package.__name__.rpartition(".")[2]
        made[page] = _page(TITLES[page], [_entry(package, name) for name in _sorted(package.__all__)])
    for page, modules in MODULES.items():
        entries = [_listed(f"{module}.{name}") for module in modules for name in _sorted(listed(module))]
        made[page] = _page(TITLES[page], entries)
    return made


def names() -> frozenset[str]:
    """Return the full names of all functions and classes that have an entry."""
    packages = (fastbox, fastbox.jobs, fastbox.fragments)
    imported = {
        f"{package.__name__}.{name}"
        for package in packages
        for name in package.__all__
        if inspect.isroutine(getattr(package, name)) or inspect.isclass(getattr(package, name))
    }
    read = {f"{module}.{name}" for modules in MODULES.values() for module in modules for name in listed(module)}
    return frozenset(imported | read)


def listed(module: str) -> list[str]:
    """Return the public names of a module without importing it, but not modules in it and what has another entry."""
    place = ROOT.joinpath(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    nodes = ast.parse(path.read_text()).body
    assigned = {ast.unparse(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign)}
    apart = {name for name, value in assigned.items() if isinstance(value, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and any(node.module in modules for modules in MODULES.values()):
            apart |= {name.asname or name.name for name in node.names}
    names = [name for name in ast.literal_eval(assigned["__all__"]) if name not in apart]
    return [name for name in names if PathFinder.find_spec(name, [str(place)]) is None]


def _topic(thing: Any) -> str:
    home = thing.__module__
    return next(topic for topic, homes in TOPICS.items() if home.startswith(homes))


def _slug(topic: str) -> str:
    return topic.lower().replace(",", "").replace(" ", "-")


def _page(title: str, entries: list[str]) -> str:
    return "\n".join([f"# {title}", "", *entries])


def _sorted(found: list[str]) -> list[str]:
    """Functions first, then classes, then constants, each by name."""
    return sorted(found, key=lambda name: (name[:1].isupper() + name.isupper(), name.lower()))


def _entry(package: Any, name: str) -> str:
    thing = getattr(package, name)
    full = f"{package.__name__}.{name}"
    if inspect.isclass(thing):
        return _listed(full, f"      members: [{', '.join(_members(thing))}]")
    if inspect.isroutine(thing):
        return _listed(full)
    return f"## {full}\n\n{_values(thing)}\n"


def _listed(full: str, *options: str) -> str:
    heading = [f"      heading: {full}", f"      toc_label: {full.rpartition('.')[2]}"]
    return "\n".join([f"::: {full}", "    options:", *heading, *options, ""])


def _members(thing: type[Any]) -> list[str]:
    """The public methods of a class of fastbox that have something to say."""
    return [
        name
        for name, member in vars(thing).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)) and member.__doc__
    ]


def _values(thing: Any) -> str:
    """The names of a constant, or the definition of a type."""
    if not isinstance(thing, tuple | dict):
        return f"A type: `{str(thing).replace('typing.', '').replace('collections.abc.', '')}`."
    return "The names that arguments take: " + ", ".join(f"`{value}`" for value in thing) + "."
