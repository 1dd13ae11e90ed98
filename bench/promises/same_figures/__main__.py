"""``python -m bench.promises.same_figures write FILE``, then with other code ``… compare FILE OTHER``.

``write`` runs every command and function on the sample and on seeded data, and keeps every figure by its name.
``compare`` tells which figures of two such files differ, are missing or are new; names that were changed on purpose
stand in ``RENAMED``. The exit code is 1 where a figure differs or is missing.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import warnings
from collections import defaultdict
from itertools import chain
from pathlib import Path

from bench.promises.same_figures import commands, functions
from bench.promises.same_figures.digests import figures
from bench.promises.same_figures.inputs import make

# Earlier names of figures, as patterns, and what stands in their place today.
RENAMED: list[tuple[str, str]] = [
    (r"\.runs\b", ".models"),
    (r":verdict$", ":match_type"),
    (r"\.errors\.costs\.", ".errors.delta_ap."),
    (r"\.(errors(?:\.\w+)?)\.location$", r".\1.localization"),
    (r"\.calibration\.error$", ".calibration.ece"),
    (r"(evaluat.*)\.figures\.", r"\1.stats."),
    (r"(commands\.nms.*)\.by_class$", r"\1.class_column"),
    (r"(commands\.anchors\.sets)\.faster-rcnn\.", r"\1.faster-rcnn-fpn."),
]
# Earlier names of figures that stood there a second time.
GONE = re.compile(r"\.stats\.\d+$")
SHOWN = 60


def write(target: str) -> int:
    """Keep the figures of the code that runs."""
    kept: dict[str, str] = {}
    failed: dict[str, str] = {}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        given = make(Path(folder))
        for name, call in chain(functions.calls(given), commands.calls(given)):
            try:
                kept.update(figures(name, call()))
            except Exception as error:
                kept[name] = f"{type(error).__name__}"
                failed[name] = f"{type(error).__name__}: {str(error)[:300]}"
    Path(target).write_text(json.dumps(kept, indent=0, sort_keys=True))
    print(f"{len(kept):,} figures; {len(failed)} calls failed")
    for name, message in failed.items():
        print(f"  {name}: {message}")
    return 0


def compare(before: str, after: str) -> int:
    """Print how the figures of two files differ."""
    old, new = (json.loads(Path(path).read_text()) for path in (before, after))
    old = {renamed(name): value for name, value in old.items() if not GONE.search(name)}
    differ = [name for name in old.keys() & new.keys() if old[name] != new[name]]
    missing, added = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    by_value = defaultdict(list)
    for name in added:
        by_value[new[name]].append(name)
    print(f"{len(old.keys() & new.keys()) - len(differ):,} figures are equal, {len(differ)} differ")
    for name in sorted(differ)[:SHOWN]:
        print(f"  differs: {name}: {old[name]} -> {new[name]}")
    print(f"{len(missing)} are missing")
    for name in missing[:SHOWN]:
        print(f"  missing: {name} {old[name]}; perhaps {', '.join(by_value[old[name]][:2]) or 'nowhere'}")
    print(f"{len(added)} are new")
    for name in added[: SHOWN // 3]:
        print(f"  new: {name} {new[name]}")
    return int(bool(differ or missing))


def renamed(name: str) -> str:
    """Return the name that a figure has today."""
    for pattern, instead in RENAMED:
        name = re.sub(pattern, instead, name)
    return name


if __name__ == "__main__":
    task, *files = sys.argv[1:] or ["help"]
    sys.exit({"write": write, "compare": compare}[task](*files) if task in ("write", "compare") else print(__doc__))
