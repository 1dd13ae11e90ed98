"""The command lines whose output and files are compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
from click.testing import CliRunner

from bench.promises.same_figures import functions
from bench.promises.same_figures.inputs import Inputs
from fastbox.cli import main

# Words of today, and their earlier spellings.
EARLIER = {
    "synthesize": ("sample",),
    "plan": ("check",),
    "--count": ("--images",),
    "--write-images": ("--images",),
    "--iou-threshold": ("--threshold",),
    "--iou-thresholds": ("--thresholds",),
    "--per-class": ("--by-class",),
    "--class-agnostic": ("--all-classes",),
    "--class-column": ("--class", "--by-class"),
    "--image-column": ("--image",),
    "--ignore-column": ("--ignore",),
    "--crowd-column": ("--crowd",),
    "--area-column": ("--area",),
    "--id-column": ("--id",),
}
# Inputs of later lines that earlier ones wrote.
EARLIER_OUTPUTS = {
    "best": "pairs.best.parquet",
    "coco": "convert.coco.json",
    "results": "convert.coco-results.json",
}
SAMPLE = ("data/detections.parquet", "data/truths.parquet")
LINES: dict[str, str] = {
    "pairs.sample": "pairs {sample} --metrics iou,giou,smooth_l1 -o {o}.parquet",
    "pairs.best": "pairs {detections} {truths} --best --boxes -o {o}.parquet --metrics iou,ciou,l1",
    "pairs.all": "pairs {detections} {truths} --all --metrics eiou,diou,iof,ios",
    "pairs.classes": "pairs {detections} {truths} --per-class -o {o}.parquet",
    "pairs.within": "pairs {truths} --threshold 0.8 -o {o}.parquet",
    "pairs.fragments": "pairs {detections} {truths} -o {o}/ --fragment-rows 300",
    "pairs.unsorted": "pairs {unsorted} {truths}",
    "measure": "measure data/pairs.parquet --metrics iou,giou,diou,ciou,eiou,l1,smooth_l1,iof,ios -o {o}.parquet",
    "measure.losses": f"measure data/pairs.parquet --metrics {','.join(functions.LOSSES)} --grad -o {{o}}.parquet",
    "measure.flat": "measure {flat} --pred p0,p1,p2,p3 --target t0,t1,t2,t3",
    "nms": "nms {detections} -o {o}.parquet --iou-threshold 0.5",
    "nms.agnostic": "nms {detections} -o {o}.parquet --iou-threshold 0.4 --class-agnostic",
    "nms.soft": "nms {detections} -o {o}.parquet --method soft-linear",
    "nms.gaussian": "nms {detections} -o {o}.parquet --method soft-gaussian --min-score 0.1",
    "nms.fragments": "nms {detections} -o {o}/ --fragment-rows 400",
    "fuse": "fuse {good} {other} -o {o}.parquet --weights 2,1",
    "fuse.max": "fuse {good} {other} -o {o}.parquet --conf-type max --class-agnostic",
    "assign": "assign {truths} --anchors retinanet --size 640x640 -o {o}.parquet --class-column category_id",
    "assign.atss": "assign {truths} --anchors atss --rule atss --size 640x640 -o {o}.parquet",
    "assign.mmdet": "assign {truths} --anchors mmdet-fpn --rule mmdet --size 640x640",
    "assign.fragments": "assign {truths} --anchors ssd300 --rule ssd --size 300x300 -o {o}/ --fragment-rows 300",
    "evaluate.sample": "evaluate {sample} -o {o}.parquet --bootstrap 20",
    "evaluate": "evaluate {detections} {truths} -o {o}.parquet",
    "evaluate.models": "evaluate {detections} {truths} --by run --bootstrap 10 -o {o}.parquet",
    "evaluate.agnostic": "evaluate {detections} {truths} --class-agnostic --iou-thresholds 0.3,0.6 --max-dets 5,50",
    "evaluate.fragments": "evaluate {detections} {truths} --by run --fragment-rows 400 -o {o}/",
    "inspect": "inspect {truths} -o {o}.parquet --fix {o}-fixed.parquet",
    "inspect.detections": "inspect {detections}",
    "inspect.fragments": "inspect {truths} -o {o}/ --fragment-rows 300",
    "sort": "sort {unsorted} -o {o}.parquet",
    "plan": "plan {detections} {truths} --fragment-rows 300",
    "anchors": "anchors {truths} --count 6 --resize 320",
    "regression": "experiment regression --points 50 --steps 40 -o {o}.parquet",
    "disagreement": "experiment disagreement {best} ",
    "synthesize": "synthesize {o}.parquet --count 30 --detections {o}-d.parquet --pairs {o}-p.parquet --seed 3",
    **{
        f"convert.{name}": f"convert {{{source}}} {{o}}{ending} --to {name}"
        for name, source, ending in (
            ("coco", "truths", ".json"),
            ("coco-results", "good", ".json"),
            ("yolo", "truths", ""),
            ("voc", "text", ""),
            ("kitti", "text", ""),
            ("open-images", "text", ".csv"),
            ("crowdhuman", "text", ".odgt"),
            ("huggingface", "truths", ".parquet"),
        )
    },
    "convert.back": "convert {coco} {o}.parquet --write-images {o}-images.parquet",
    "convert.results": "convert {results} {o}.parquet",
    "evaluate.coco": "evaluate {results} {coco} ",
}


def calls(given: Inputs) -> Iterator[tuple[str, Any]]:
    """Yield every command line by its name, as a call that returns what it printed and wrote."""
    for name, line in LINES.items():
        yield f"commands.{name}", lambda name=name, line=line: ran(given, name, line)


def ran(given: Inputs, name: str, line: str) -> dict[str, Any]:
    """Run a command line; return its summary and the files that it wrote."""
    out = given.path(f"out-{name}")
    tables = {table: given.path(f"{table}.parquet") for table in re.findall(r"{(\w+)}", line)}
    earlier = {name: given.path(f"out-{file}") for name, file in EARLIER_OUTPUTS.items()}
    known = {**tables, **earlier, "o": out, "sample": " ".join(SAMPLE)}
    words = spelled(line.format(**known).split())
    if "--json" in options_of(words):
        words.append("--json")
    done = CliRunner().invoke(main, words, catch_exceptions=True)
    if done.exit_code != 0:
        raise RuntimeError(f"{words[0]} ended with {done.exit_code}: {done.output[-300:]} {done.exception!r}")
    files = [path for path in given.folder.rglob("*") if str(path).startswith(out) and path.is_file()]
    return {"printed": done.stdout, "files": {str(path)[len(out) :]: path for path in sorted(files)}}


def command_of(words: list[str]) -> click.Command:
    """Return the command that words begin with."""
    command: click.Command = main
    for word in words:
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            break
        command = found
    return command


def options_of(words: list[str]) -> set[str]:
    """Return every option of the command that words begin with."""
    return {option for one in command_of(words).params for option in (*one.opts, *one.secondary_opts)}


def spelled(words: list[str]) -> list[str]:
    """Return words as the code that runs knows them: each by its earlier spelling where today's is not known."""
    commands = main.list_commands(click.Context(main))
    first = words[0] if words[0] in commands else EARLIER.get(words[0], (words[0],))[0]
    words = [first, *words[1:]]
    if first == "assign" and "--ignore" in options_of(words):
        words += ["--resize", "none"]  # was told, where it now follows from a size alone
    known = options_of(words)
    told: list[str] = []
    for word in words:
        if not word.startswith("--") or word in known:
            told.append(word)
        else:
            told.append(next((old for old in EARLIER.get(word, ()) if old in known), word))
    return told
