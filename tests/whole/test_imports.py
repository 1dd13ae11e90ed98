"""The imports of each command: packages and slow modules that it may load, and no job or command beside its own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

DETECTIONS, TRUTHS, PAIRS = "data/detections.parquet", "data/truths.parquet", "data/pairs.parquet"
RANDOM = "numpy.random"

# Each command line, with the packages and slow modules that it may load beside those of every command.
COMMANDS: dict[str, set[str]] = {
    f"anchors {TRUTHS} --count 3 -o OUT/anchors.json": {"rich", "scipy"},  # rich wraps a long line
    f"assign {TRUTHS} --anchors retinanet --resize 320": set(),
    f"assign {TRUTHS} --anchors retinanet --resize 320 -o OUT/assigned.parquet --json": set(),
    f"assign {TRUTHS} --points yolov8,yolox --size 320": set(),
    f"assign {TRUTHS} --points yolov8 --size 320 --starved OUT/starved.parquet --json": {"pyarrow.compute"},
    f"assign {TRUTHS} --points fcos --size 320 -o OUT/points.parquet --json": set(),
    f"convert {TRUTHS} OUT/truths.json": {"msgspec", "pyarrow.compute"},
    f"evaluate {DETECTIONS} {TRUTHS}": set(),
    f"evaluate {DETECTIONS} {TRUTHS} --style coco": set(),
    f"evaluate {DETECTIONS} {TRUTHS} -o OUT/matched.parquet --json": {"pyarrow.compute"},
    f"experiment disagreement {PAIRS}": {"difflib"},
    "experiment regression --points 10": {RANDOM},
    f"fuse {DETECTIONS} {DETECTIONS} -o OUT/fused.parquet": {"pyarrow.compute"},
    f"inspect {TRUTHS}": set(),
    f"inspect {TRUTHS} -o OUT/problems.parquet --fix OUT/fixed.parquet --json": {"pyarrow.compute"},
    f"measure {PAIRS}": {"difflib"},
    f"measure {PAIRS} -o OUT/measured.parquet --json": set(),
    f"nms {DETECTIONS} -o OUT/kept.parquet": {"pyarrow.compute"},
    f"pairs {DETECTIONS} {TRUTHS}": set(),
    f"pairs {DETECTIONS} {TRUTHS} --boxes -o OUT/pairs.parquet --json": set(),
    f"pairs {DETECTIONS} {TRUTHS} --per-class": set(),
    f"plan {DETECTIONS} {TRUTHS}": {"pyarrow.compute"},
    f"sort {DETECTIONS} -o OUT/sorted.parquet": {"pyarrow.compute"},
    f"suspects {DETECTIONS} {TRUTHS}": set(),
    f"suspects {DETECTIONS} {TRUTHS} -o OUT/suspects.parquet --json": {"pyarrow.compute"},
    "synthesize OUT/made.parquet --count 3": {RANDOM},
    "warmup --help": set(),
}
NAMES = {path.stem for path in (ROOT / "fastbox" / "cli" / "commands").rglob("*.py")} - {"__init__"}  # of commands
EVERY = {"click", "fastbox", "numpy", "pyarrow"}  # packages of every command
COMPILER = {"llvmlite", "numba"}  # may load what they like
OTHERS = {"msgspec", "rich", "scipy"}
NEVER = {"matplotlib", "pandas", "polars", "torch"}  # nor by another package, as pyarrow imports pandas
SLOW = {
    "asyncio", "concurrent.futures", "csv", "difflib", "email", "html", "http", "importlib.metadata",
    "importlib.resources", "logging", "multiprocessing", RANDOM, "pyarrow.compute", "pyarrow.csv", "pyarrow.dataset",
    "pydoc", "rich.live", "rich.progress", "rich.table", "secrets", "sqlite3", "subprocess", "unittest", "xml",
}  # fmt: skip
CODE = """
import atexit, json, sys

class Watch:
    found = {}

    def find_spec(self, name, path=None, target=None):
        frame, asked = sys._getframe(1), []
        while frame is not None:
            module = str(frame.f_globals.get("__name__"))
            if not module.startswith("importlib."):
                asked.append((module, frame.f_code.co_name == "<module>"))
            frame = frame.f_back
        self.found[name] = asked

def say():
    print("loaded:", json.dumps({name: by for name, by in Watch.found.items() if name in sys.modules}), file=sys.stderr)

sys.meta_path.insert(0, Watch())
atexit.register(say)
sys.argv = ["fastbox", *sys.argv[1:]]
from fastbox.__main__ import main
main()
"""


def _top(module: str) -> str:
    return module.partition(".")[0]


def loaded(python: Any, command: str) -> dict[str, str]:
    """Modules that a command loads, without those that the compiler and other packages import; with their importers."""
    done = python(CODE.replace("sys.argv[1:]", repr(command.split())))
    (line,) = re.findall(r"^loaded: (.*)$", done.stderr, re.MULTILINE)
    found = {}
    for name, asked in json.loads(line).items():
        nearest = [_top(module) for module, _ in asked[:1]]
        through = [_top(module) for module, at_import in asked if at_import]
        packages = {top for top in (*nearest, *through) if top in EVERY | OTHERS} - {"fastbox", _top(name)}
        if _top(name) in NEVER or (not packages and not COMPILER.intersection(_top(module) for module, _ in asked)):
            found[name] = " ← ".join(module for module, _ in asked[:4])
    return found


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_only_what_it_needs(python: Any, tmp_path: Path, command: str) -> None:
    found = loaded(python, command.replace("OUT", str(tmp_path)))
    parts = [(name, slow) for name in found for slow in SLOW if name == slow or name.startswith(f"{slow}.")]
    slow = {slow: found[name] for name, slow in reversed(parts)}
    known = {*sys.stdlib_module_names, *COMPILER}
    packages = {_top(name): by for name, by in reversed(found.items()) if _top(name) not in known}
    unwanted = {name: by for name, by in (slow | packages).items() if name not in EVERY | COMMANDS[command]}
    assert unwanted == {}
    assert EVERY - {"pyarrow"} <= packages.keys()
    if "numba" not in found:  # which brings some of the slow modules itself, where kernels are compiled
        assert COMMANDS[command] <= (slow | packages).keys(), "listed, but not loaded: remove it from the list"

    words = command.split()
    name = words[1] if words[0] == "experiment" else words[0]
    for room in ("cli/commands", "cli/commands/experiment", "jobs"):
        package = f"fastbox/{room}".replace("/", ".")
        others = {f"{package}.{path.stem}" for path in (ROOT / "fastbox" / room).glob("*.py") if path.stem in NAMES}
        assert others.intersection(found) <= {f"{package}.{name}"}


@pytest.mark.slow
@pytest.mark.jit
def test_coco_json_is_read_without_modules_of_other_formats(python: Any, tmp_path: Path) -> None:
    boxes = [{"image_id": k, "category_id": 1, "bbox": [10.5, 20.25, 30.5, 40.5], "score": 0.5} for k in range(4000)]
    images = [{"id": k, "width": 640, "height": 480} for k in range(4000)]
    given = {
        "images": images,
        "annotations": [{**box, "id": 7, "area": 9.5} for box in boxes],
        "categories": [{"id": 1}],
    }
    detections, truths = tmp_path / "detections.json", tmp_path / "truths.json"
    detections.write_text(json.dumps(boxes))
    truths.write_text(json.dumps(given))
    home = "fastbox.datasets.formats."
    stores = {f"pyarrow.{name}" for name in ("_azurefs", "_gcsfs", "_hdfs", "_s3fs")}
    unwritten = {f"fastbox.tables.{name}" for name in ("in_order", "sink", "sort")}
    unused = stores | {"csv", "msgspec", "numpy.ma", RANDOM, "pyarrow.compute", "pyarrow.csv", "rich", "xml"}
    for command in (f"evaluate {detections} {truths} --style coco", f"convert {truths} {tmp_path}/truths.parquet"):
        found = loaded(python, command)
        read = {name.removeprefix(home) for name in found if name.startswith(home)}
        written = {"jsonlines", "parquet"} if command.startswith("convert") else set()
        assert read == {"coco", "coco.reading", "coco.scan", *written}
        assert (written or unwritten.isdisjoint(found)) and "hashlib" not in found
        assert "fastbox.report.page.contents" not in found
        assert not unused.intersection(found)


def test_help_loads_neither_a_job_nor_a_package(python: Any) -> None:
    found = loaded(python, "--help")
    assert {_top(name) for name in found} - set(sys.stdlib_module_names) == {"click", "fastbox", "numpy"}
    assert not [name for name in found if name.startswith(("fastbox.jobs.", "fastbox.tables.", "fastbox.arrow."))]
    assert not SLOW.intersection(found)
