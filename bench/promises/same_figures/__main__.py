"""``python -m bench.promises.same_figures write FILE``, then with other code ``… compare FILE OTHER``.

``write`` runs every command and function on the sample and on seeded data, and keeps every figure by its name.
``compare`` tells which figures of two such files differ, are missing or are new; names that were changed on purpose
stand in ``renamed.py``. The exit code is 1 where a figure differs or is missing.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import warnings
from collections import defaultdict
from itertools import chain
from pathlib import Path

from bench.promises.same_figures import commands, functions, spellings
from bench.promises.same_figures.digests import figures
from bench.promises.same_figures.inputs import make
from bench.promises.same_figures.renamed import gone, today

SHOWN = 60
SAMPLE = Path(__file__).parents[3] / "data"


def write(target: str) -> int:
    """Keep the figures of the code that runs."""
    path = Path(target).resolve()
    kept: dict[str, str] = {}
    failed: dict[str, str] = {}
    ran: list[str] = []
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(SAMPLE, "data")
        for name, call in chain(functions.calls(make()), commands.calls()):
            ran.append(name)
            try:
                kept.update(figures(name, call()))
            except Exception as error:
                kept[name] = getattr(error, "kind", type(error).__name__)
                failed[name] = f"{type(error).__name__}: {str(error)[:300]}"
    path.write_text(json.dumps(kept, indent=0, sort_keys=True))
    lines = sum(name.startswith("commands.") for name in ran)
    print(f"{len(kept):,} figures of {lines} command lines and {len(ran) - lines:,} calls of functions")
    print(f"never called: {', '.join(functions.never_called()) or 'nothing'}")
    print(f"{len(failed)} calls failed")
    for name, message in failed.items():
        print(f"  {name}: {message}")
    return 0


def compare(before: str, after: str) -> int:
    """Print how the figures of two files differ."""
    old, new = (json.loads(Path(path).read_text()) for path in (before, after))
    left = {name for name in old if gone(name) and name not in new}
    named = [today(name, value) for name, value in old.items() if name not in left]
    known = {name for name, _ in named}
    differ = sorted((name, value) for name, value in named if name in new and new[name] != value)
    missing = sorted((name, value) for name, value in named if name not in new)
    added = sorted(new.keys() - known)
    by_value = defaultdict(list)
    for name in added:
        by_value[new[name]].append(name)
    print(f"{len(named) - len(differ) - len(missing):,} figures are equal, {len(left)} are gone on purpose")
    show("differ", [f"{name}: {value} -> {new[name]}" for name, value in differ])
    show("are missing", [f"{name} {value}; perhaps {like(by_value[value], name)}" for name, value in missing])
    show("are new", [f"{name} {new[name]}" for name in added])
    return int(bool(differ or missing))


def like(names: list[str], name: str) -> str:
    """Return the names of the same value that begin most like another."""
    near = sorted(names, key=lambda one: -sum(a == b for a, b in zip(one.split("."), name.split("."), strict=False)))
    return ", ".join(near[:2]) or "nowhere"


def show(title: str, lines: list[str]) -> None:
    """Print a number of figures and the first of them."""
    print(f"{len(lines):,} {title}")
    for line in lines[:SHOWN]:
        print(f"  {line}")
    if len(lines) > SHOWN:
        print(f"  and {len(lines) - SHOWN:,} more")


if __name__ == "__main__":
    spellings.CALLED.clear()
    match sys.argv[1:]:
        case ["write", target]:
            sys.exit(write(target))
        case ["compare", before, after]:
            sys.exit(compare(before, after))
        case _:
            sys.exit(__doc__)
