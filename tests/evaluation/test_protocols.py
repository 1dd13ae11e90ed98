"""A new protocol of evaluation is one file: thresholds, recalls, sizes, limits, columns and statistics of its own."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from rich.console import Console
from support.plugins import plugged_in

import fastbox
from fastbox import Boxes, InputError, Params, fragments, jobs
from fastbox.evaluation import protocols as home
from fastbox.evaluation.registry import protocols
from fastbox.fragments.canonical import digest
from fastbox.report.page.contents import Table
from fastbox.report.terminal.evaluated import show_evaluated

VOC = '''
"""The mean of precision at eleven recalls; objects that are hard to see do not count."""
from math import inf
from fastbox.evaluation.registry import Protocol, Statistic

def statistics(areas, limits):
    sizes = list(enumerate(areas))[1:]
    return [
        Statistic("mAP"),
        *(Statistic(f"mAP_{name}", area=place) for place, name in sizes),
        *(Statistic(f"recall{limit}", recall=True, limit=place) for place, limit in enumerate(limits)),
    ]

PROTOCOLS = (
    Protocol(
        name="eleven",
        iou_thresholds=(0.5,),
        recalls=tuple(k / 10 for k in range(11)),
        area_ranges={"any": (0, inf), "tiny": (0, 900), "big": (900, inf)},
        max_dets=(2, 20),
        greatest_threshold=1,
        crowd=None,
        ignore="difficult",
        area="pixels",
        statistics=statistics,
    ),
)
'''
RANGES = {"any": (0, math.inf), "tiny": (0, 900), "big": (900, math.inf)}
LIMITS = (2, 20)
NAMES = ["mAP", "mAP_tiny", "mAP_big", "recall2", "recall20"]


@pytest.fixture(autouse=True)
def voc(tmp_path: Path) -> Iterator[None]:
    with plugged_in(home, protocols, tmp_path, "eleven", VOC):
        yield


class Scene:
    """Detections near truths of some classes, and truths in columns of both protocols that contradict each other."""

    def __init__(self, seed: int, images: int = 12) -> None:
        random = np.random.default_rng(seed)
        m, n = 90, 260
        boxes = random.random((m, 4)) * [300, 200, 50, 50] + [0, 0, 6, 6]
        image, kind = np.sort(random.integers(0, images, m)), random.integers(1, 4, m)
        taken = np.sort(random.integers(0, m, n))
        near = boxes[taken] + random.normal(0, 3, (n, 4))
        near[:, 2:] = np.abs(near[:, 2:])
        self.truths = {
            "image_id": image,
            "category_id": kind,
            **dict(zip("xywh", boxes.T, strict=True)),
            "difficult": (random.random(m) < 0.2).astype(int),
            "pixels": boxes[:, 2] * boxes[:, 3] * random.choice([0.5, 1.0], m),
            "iscrowd": (random.random(m) < 0.3).astype(int),
            "ignore": (random.random(m) < 0.3).astype(int),
            "area": random.random(m) * 10_000,
        }
        self.detections = {
            "image_id": image[taken],
            "category_id": np.where(random.random(n) < 0.9, kind[taken], 4),
            **dict(zip("xywh", near.T, strict=True)),
            "score": random.permutation(n) / n,
            "model": random.choice(["one", "two"], n),
        }

    def write(self, folder: Path) -> tuple[Path, Path]:
        paths = folder / "detections.parquet", folder / "truths.parquet"
        for path, columns in zip(paths, (self.detections, self.truths), strict=True):
            pq.write_table(pa.table(columns), path, row_group_size=20)
        return paths

    def evaluate(self, ignore: str = "difficult", area: str = "pixels") -> fastbox.Evaluation:
        """The same as arrays."""
        a, b = self.detections, self.truths
        return fastbox.evaluate(
            Boxes(np.stack([a[side] for side in "xywh"], 1), "xywh", images=a["image_id"]),
            a["score"],
            Boxes(np.stack([b[side] for side in "xywh"], 1), "xywh", images=b["image_id"]),
            classes=a["category_id"],
            truth_classes=b["category_id"],
            ignore=b[ignore],
            areas=b[area],
            params=Params(rule="eleven"),
        )

    def stats(self) -> dict[str, float]:
        """The statistics, one box after the other."""
        by_range = {name: [self._of_class(kind, *limits) for kind in (1, 2, 3)] for name, limits in RANGES.items()}
        means = {name: np.mean(found, axis=0) for name, found in by_range.items()}
        precision = [means["any"][0], means["tiny"][0], means["big"][0]]
        return dict(zip(NAMES, [*precision, *means["any"][1:]], strict=True))

    def _of_class(self, kind: int, low: float, high: float) -> list[float]:
        """Precision over eleven recalls, and the recall within each limit."""
        hits: list[tuple[float, int, bool]] = []
        wanted = 0
        for image in range(12):
            found, true = rows(self.detections, image, kind), rows(self.truths, image, kind)
            outside = (self.truths["pixels"][true] < low) | (self.truths["pixels"][true] > high)
            aside = (self.truths["difficult"][true] > 0) | outside
            wanted += int((~aside).sum())
            order = found[np.argsort(-self.detections["score"][found])][: LIMITS[-1]]
            taken: set[int] = set()
            for place, row in enumerate(order):
                box = corner_box(self.detections, row)
                free = [k for k in range(len(true)) if k not in taken]
                ious = {k: iou(box, corner_box(self.truths, true[k])) for k in free}
                near = [k for k in free if ious[k] >= 0.5]
                best = max([k for k in near if not aside[k]] or near, key=lambda k: ious[k], default=None)
                if best is not None:
                    taken.add(best)
                if aside[best] if best is not None else not low <= box[2] * box[3] <= high:
                    continue
                hits.append((float(self.detections["score"][row]), place, best is not None))
        hits.sort(key=lambda hit: -hit[0])
        right = np.cumsum([hit for _, _, hit in hits])
        precision, recall = right / np.arange(1, len(hits) + 1), right / wanted
        at = [max(precision[recall >= k / 10], default=0.0) for k in range(11)]
        return [float(np.mean(at)), *(sum(hit for _, place, hit in hits if place < most) / wanted for most in LIMITS)]


def rows(table: dict[str, Any], image: int, kind: int) -> NDArray[np.int64]:
    return np.flatnonzero((table["image_id"] == image) & (table["category_id"] == kind))


def corner_box(table: dict[str, Any], row: int) -> list[float]:
    return [float(table[side][row]) for side in "xywh"]


def iou(a: list[float], b: list[float]) -> float:
    w, h = (min(a[k] + a[k + 2], b[k] + b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    both = max(w, 0.0) * max(h, 0.0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


@pytest.mark.parametrize("seed", range(8))
def test_arrays_are_evaluated_by_the_protocol(seed: int) -> None:
    scene = Scene(seed)
    found = scene.evaluate()
    assert list(found.stats()) == NAMES
    assert found.stats() == pytest.approx(scene.stats(), abs=1e-12)
    assert 0.1 < found.stats()["mAP_tiny"] != found.stats()["mAP_big"]
    assert list(found.stats_by_class()) == NAMES
    assert list(found.bootstrap(samples=3)) == ["mAP"]


def test_tables_are_evaluated_by_the_protocol_and_its_columns(tmp_path: Path) -> None:
    scene = Scene(0)
    found = jobs.evaluate(*scene.write(tmp_path), params=Params(rule="eleven"), samples=5)
    assert found.stats == {None: scene.evaluate().stats()}
    told = json.loads("".join(found.to_json()))
    assert told["stats"] == pytest.approx(scene.stats(), abs=1e-12)
    assert [told["columns"][use] for use in ("crowd", "ignore", "area")] == [None, "difficult", "pixels"]
    rules = told["rules"]
    assert (rules["iou_thresholds"], rules["max_dets"]) == ([0.5], [2, 20])
    assert rules["area_ranges"] == {"any": [0, None], "tiny": [0, 900], "big": [900, None]}
    assert len(told["curves"]["recall"]) == 11
    assert [name for name in told["by_class"][0] if name in NAMES] == NAMES
    assert list(told["matched"]["by_size"]) == list(RANGES)
    assert told["intervals"].keys() >= {"mAP"} and "AP" not in told["intervals"]


def test_a_column_that_is_named_is_no_default(tmp_path: Path) -> None:
    scene = Scene(1)
    tables, rules = scene.write(tmp_path), Params(rule="eleven")
    named = jobs.evaluate(*tables, params=rules, ignore_column="ignore", area_column="area")
    assert named.stats[None] == scene.evaluate("ignore", "area").stats() != scene.evaluate().stats()
    none = jobs.evaluate(*tables, params=rules, ignore_column=None, area_column=None)
    assert none.read is not None and {none.read.columns["ignore"], none.read.columns["area"]} == {None}
    with pytest.raises(InputError, match="no_such_column"):
        jobs.evaluate(*tables, params=rules, ignore_column="no_such_column")


def test_fragments_add_up(tmp_path: Path) -> None:
    scene = Scene(2)
    tables, rules = scene.write(tmp_path), Params(rule="eleven")
    for _ in range(2):
        out = tmp_path / "parts"
        found = fragments.spread(jobs.evaluate, *tables, out=out, params=rules, fragment_rows=60)
        assert found.stats == {None: scene.evaluate().stats()}
    assert len(list(out.glob("part-*.parquet"))) > 1
    with pytest.raises(InputError, match="of another run"):
        fragments.spread(jobs.evaluate, *tables, out=out, fragment_rows=60)


@pytest.mark.jit
def test_terminals_pages_and_notebooks_show_its_statistics(tmp_path: Path) -> None:
    tables = Scene(3).write(tmp_path)
    one = jobs.evaluate(*tables, params=Params(rule="eleven"), samples=5)
    several = jobs.evaluate(
        *tables, params=Params(rule="eleven"), by="model", samples=5, report=tmp_path / "models.html"
    )
    shown = {}
    for name, found in (("one", one), ("several", several)):
        console = Console(width=160, file=io.StringIO())
        show_evaluated(console, found.to_dict())
        shown[name] = console.file.getvalue()  # type: ignore[attr-defined]
    first = one.stats[None]
    assert shown["one"].startswith(f"mAP {first['mAP']:.3f} · recall2 {first['recall2']:.3f} · recall20 ")
    heads = [line.split() for line in shown["one"].splitlines()]
    assert ["size", "mAP", "truths"] in [head[:3] for head in heads]
    assert ["class", "truths", "mAP", "recall2"] in [head[:4] for head in heads]
    assert all(name in shown["several"] for name in ("mAP_tiny", "mAP_big", "mAP 95%"))
    assert repr(one).startswith(f"Evaluated: mAP {first['mAP']:.4g} · recall2 ")
    best = max(several.stats, key=lambda model: several.stats[model]["mAP"])
    assert repr(several).startswith(f"Evaluated: best mAP {several.stats[best]['mAP']:.4g} · model {best} · ")
    assert [figure.label for figure in one.page().figures[:3]] == ["mAP", "recall2", "recall20"]
    assert [figure.label for figure in several.page().figures] == ["models", "best mAP", "its recall2", "its recall20"]
    texts = [section.text for section in several.page().sections]
    assert sum("with the highest mAP" in text for text in texts) == 2


def test_a_protocol_whose_first_statistic_has_no_interval_is_shown_without(tmp_path: Path) -> None:
    text = VOC.replace('Statistic("mAP")', 'Statistic("recall", recall=True), Statistic("mAP")')
    (tmp_path / "modules" / "eleven.py").write_text(text)
    several = jobs.evaluate(*Scene(3).write(tmp_path), params=Params(rule="eleven"), by="model", samples=5)
    assert "mAP" in several.to_dict()["models"]["one"]["intervals"]
    console = Console(width=160, file=io.StringIO())
    show_evaluated(console, several.to_dict())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "recall" in shown and "95%" not in shown
    (table,) = several.page().sections[0].parts
    assert isinstance(table, Table)
    assert [column.title for column in table.columns] == ["model", "detections", "recall", *NAMES]


def test_what_is_given_differs_from_the_protocol() -> None:
    rules = Params(rule="eleven", iou_thresholds=[0.75])
    assert (rules.iou_thresholds, rules.max_dets, len(rules.recalls)) == ((0.75,), LIMITS, 11)
    coco = Params()
    same = Params(coco.iou_thresholds, coco.recalls, coco.area_ranges, coco.max_dets, rule="eleven")
    assert same != coco
    assert digest(same) != digest(coco)
    with pytest.raises(ValueError, match="expected evaluations by the same rules"):
        fastbox.Evaluation(same) + fastbox.Evaluation(coco)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a rule of ai-tod, coco, .*, got 'elven'; did you mean 'eleven'"):
        Params(rule="elven")
    with pytest.raises(TypeError, match="expected rule as text, got 5"):
        Params(rule=5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("takes", "second"), [("first", 0), ("last", 1)])
def test_the_first_or_the_last_of_equal_truths_is_taken(tmp_path: Path, takes: str, second: int) -> None:
    text = VOC.replace("statistics=statistics,", f'statistics=statistics, takes="{takes}",').replace("eleven", "ties")
    truths = [[0, 0, 10, 8], [0, 2, 10, 10]]
    (tmp_path / takes).mkdir()
    with plugged_in(home, protocols, tmp_path / takes, "ties", text):
        found = fastbox.Evaluation(Params(rule="ties"))
        judged = found.add([[0, 1, 10, 9], [0, 0, 10, 5]], [0.9, 0.8], truths)
    assert judged.words[:, 0, 0].tolist() == [1, second]
