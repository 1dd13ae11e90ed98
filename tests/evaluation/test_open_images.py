"""Open Images' figures equal a naive loop by the challenge's rules, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import fastbox
from fastbox import Boxes, Evaluation, Federation, InputError, InputWarning, Params, jobs
from fastbox.cli import main
from fastbox.datasets.image_labels import image_labels, parents_of
from fastbox.evaluation.hierarchy import above, below

Floats = NDArray[np.float64]
CLASSES = 9
PARENTS = {0: [4], 1: [4], 2: [5], 3: [5, 6], 4: [6], 5: [7]}
ABOVE = {0: [4, 6], 1: [4, 6], 2: [5, 7], 3: [5, 6, 7], 4: [6], 5: [7]}


class Scene(NamedTuple):
    """Boxes with whole corners, groups of objects, scores without ties, and labels that were verified."""

    boxes: Floats
    scores: Floats
    kinds: NDArray[np.int64]
    images: NDArray[np.int64]
    truths: Floats
    truth_kinds: NDArray[np.int64]
    truth_images: NDArray[np.int64]
    groups: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    present: dict[int, list[int]]
    negative: dict[int, list[int]]

    def federation(self, parents: dict[int, list[int]]) -> Federation:
        return Federation(negative=self.negative, present=self.present, parents=parents)

    def evaluate(self, parents: dict[int, list[int]], own: Any = slice(None), its: Any = slice(None)) -> Evaluation:
        """Evaluate some of the boxes, with a number for each class of the benchmark."""
        found = Evaluation(Params(rule="open-images"), federation=self.federation(parents))
        found.code_classes(range(CLASSES))
        found.add(
            Boxes(self.boxes[own], images=self.images[own]),
            self.scores[own],
            Boxes(self.truths[its], images=self.truth_images[its]),
            classes=self.kinds[own],
            truth_classes=self.truth_kinds[its],
            crowd=self.groups[its],
            ignore=self.ignore[its],
        )
        return found


def scene(seed: int, images: int = 12) -> Scene:
    """Make truths of seven classes, some of them groups, and detections near them, in their middle, or elsewhere."""
    random = np.random.default_rng(seed)
    m, n = 7 * images, 24 * images
    truth_images, truth_kinds = np.sort(random.integers(0, images, m)), random.integers(0, 7, m)
    corners = random.integers(0, 60, (m, 2))
    truths = np.hstack([corners, corners + random.integers(4, 40, (m, 2))]).astype(np.float64)
    near = random.integers(0, m, n)
    boxes = truths[near] + random.integers(-5, 6, (n, 4))
    small = random.random(n) < 0.4
    middle = (truths[near, :2] + truths[near, 2:])[small] // 2
    boxes[small] = np.hstack(
        [middle - random.integers(1, 4, middle.shape), middle + random.integers(1, 6, middle.shape)]
    )
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    image = np.where(random.random(n) < 0.9, truth_images[near], random.integers(0, images, n))
    order = np.argsort(image, kind="stable")
    kinds = np.where(random.random(n) < 0.6, truth_kinds[near], random.integers(0, CLASSES, n))
    return Scene(
        boxes[order],
        ((random.permutation(n) + 1) / (n + 1))[order],
        kinds[order],
        image[order],
        truths,
        truth_kinds,
        truth_images,
        random.random(m) < 0.3,
        random.random(m) < 0.1,
        {i: [k for k in range(7) if random.random() < 0.1] for i in range(images)},
        {i: [k for k in range(CLASSES) if random.random() < 0.1] for i in range(images)},
    )


def shared(a: Floats, b: Floats, of_first: bool) -> float:
    """The IoU of two boxes, or the share of the first that lies in the second."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    first, second = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    return float(across * down / (first if of_first else first + second - across * down))


class Counted(NamedTuple):
    """By class: AP, -1 without truths; and numbers of detections that are true, false, ignored and unverified."""

    ap: list[float]
    outcomes: dict[str, int]
    unverified: int


def naive(given: Scene, above: dict[int, list[int]]) -> Counted:
    """Match one box after the other."""
    marks: dict[int, list[tuple[float, bool]]] = {kind: [] for kind in range(CLASSES)}
    wanted = dict.fromkeys(range(CLASSES), 0)
    ignored = unverified = 0
    for image in range(12):
        drawn: dict[int, list[int]] = {kind: [] for kind in range(CLASSES)}
        for row in np.flatnonzero(given.truth_images == image).tolist():
            own = int(given.truth_kinds[row])
            for kind in (own, *above.get(own, ())):
                drawn[kind].append(row)
                wanted[kind] += not given.ignore[row]
        known = {kind for kind in drawn if drawn[kind]}
        for kind in given.present[image]:
            known |= {kind, *above.get(kind, ())}
        for kind in given.negative[image]:
            known |= {kind, *(low for low, high in above.items() if kind in high)}
        rows = np.flatnonzero(given.images == image)
        taken: set[tuple[int, int]] = set()
        for row in rows[np.argsort(-given.scores[rows])].tolist():
            kind, box = int(given.kinds[row]), given.boxes[row]
            if kind not in known:
                unverified += 1
                continue
            single = [t for t in drawn[kind] if not given.groups[t]]
            grouped = [t for t in drawn[kind] if given.groups[t]]
            ious = [shared(box, given.truths[t], False) for t in single]
            shares = [shared(box, given.truths[t], True) for t in grouped]
            best = int(np.argmax(ious)) if ious else -1
            most = int(np.argmax(shares)) if shares else -1
            hit = bool(ious) and ious[best] >= 0.5
            if hit and given.ignore[single[best]]:
                ignored += 1
            elif hit and (kind, single[best]) not in taken:
                taken.add((kind, single[best]))
                marks[kind].append((float(given.scores[row]), True))
            elif shares and shares[most] >= 0.5:
                if given.ignore[grouped[most]] or (kind, grouped[most]) in taken:
                    ignored += 1
                else:
                    taken.add((kind, grouped[most]))
                    marks[kind].append((float(given.scores[row]), True))
            else:
                marks[kind].append((float(given.scores[row]), False))
    ap = [average_precision(marks[kind], wanted[kind]) if wanted[kind] else -1.0 for kind in range(CLASSES)]
    true = sum(flag for found in marks.values() for _, flag in found)
    false = sum(map(len, marks.values())) - true
    return Counted(ap, {"true": true, "false": false, "ignored": ignored}, unverified)


def average_precision(marks: list[tuple[float, bool]], wanted: int) -> float:
    """The area under the highest precision at each recall or a higher one."""
    recall, precision = [0.0], [0.0]
    true = 0
    for place, (_, flag) in enumerate(sorted(marks, reverse=True), 1):
        true += flag
        recall.append(true / wanted)
        precision.append(true / place)
    recall.append(1.0)
    precision.append(0.0)
    for place in reversed(range(len(precision) - 1)):
        precision[place] = max(precision[place], precision[place + 1])
    rises = [k for k in range(1, len(recall)) if recall[k] != recall[k - 1]]
    return float(np.sum(np.array([(recall[k] - recall[k - 1]) * precision[k] for k in rises])))


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("parents", "above"), [({}, {}), (PARENTS, ABOVE)], ids=["plain", "hierarchy"])
def test_figures_equal_a_naive_loop(seed: int, parents: dict[int, list[int]], above: dict[int, list[int]]) -> None:
    given = scene(seed)
    found, wanted = given.evaluate(parents), naive(given, above)
    assert found.stats_by_class()["mAP"].tolist() == wanted.ap
    known = [ap for ap in wanted.ap if ap >= 0]
    assert found.stats()["mAP"] == pytest.approx(np.mean(known), rel=1e-12)
    assert found.outcomes() == wanted.outcomes
    assert found.unverified == wanted.unverified > 0
    assert found.detections + found.unverified == len(given.scores)
    assert found.to_dict()["outcomes"] == wanted.outcomes


def test_parts_add_up() -> None:
    given = scene(3)
    parts = [given.evaluate(PARENTS, given.images // 6 == k, given.truth_images // 6 == k) for k in range(2)]
    whole, both = given.evaluate(PARENTS), parts[0] + parts[1]
    assert (both.stats(), both.outcomes(), both.of_federation) == (whole.stats(), whole.outcomes(), whole.of_federation)
    assert whole.of_federation["expanded"] == sum(len(ABOVE.get(kind, ())) for kind in given.truth_kinds.tolist())
    assert whole.truths == len(given.truths) + whole.expanded


def test_a_group_counts_once() -> None:
    boxes = Boxes([[10, 10, 12, 12], [13, 13, 15, 15], [16, 16, 18, 18]], images=[1, 1, 1])
    found = fastbox.evaluate(
        boxes,
        [0.9, 0.8, 0.7],
        Boxes([[9, 9, 17, 17]], images=[1]),
        crowd=[1],
        rule="open-images",
        federation=Federation(),
    )
    assert found.outcomes() == {"true": 1, "false": 1, "ignored": 1}
    kinds = found.errors().counts.sum(axis=0)
    assert (kinds[0], kinds[-2], kinds[-1]) == (1, 1, 0)  # matched, ignored, missed
    assert found.stats() == {"mAP": 1.0}


def test_matches_have_the_rows_of_the_truths_that_were_drawn() -> None:
    given = scene(5)
    found = Evaluation(Params(rule="open-images"), federation=given.federation(PARENTS), confusion_iou=0.5)
    judged = found.add(
        Boxes(given.boxes, images=given.images),
        given.scores,
        Boxes(given.truths, images=given.truth_images),
        classes=given.kinds,
        truth_classes=given.truth_kinds,
        crowd=given.groups,
    )
    taken = judged.truth >= 0
    assert (given.truth_images[judged.truth[taken]] == given.images[taken]).all()
    matched = (judged.match_type == 0) & taken
    pairs = zip(given.kinds[matched].tolist(), given.truth_kinds[judged.truth[matched]].tolist(), strict=True)
    assert {own for own, its in pairs if own != its} == {4, 5, 6, 7}
    matrix = found.confusion(score=0.0).counts
    assert matrix[:-1].sum() == np.count_nonzero(~given.groups)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A scene with classes as text, in files."""
    folder = tmp_path_factory.mktemp("open-images")
    given = scene(7)
    name = np.array([f"/m/{kind}" for kind in range(CLASSES)])
    columns = {"image_id": given.images, "LabelName": name[given.kinds], "score": given.scores}
    truths = {"image_id": given.truth_images, "LabelName": name[given.truth_kinds], "iscrowd": given.groups.astype(int)}
    for file, table, boxes in (("found", columns, given.boxes), ("truths", truths, given.truths)):
        corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), boxes.T, strict=True))
        pq.write_table(pa.table(table | corners), folder / f"{file}.parquet", row_group_size=40)
    rows = [(i, k, 1) for i, kinds in given.present.items() for k in kinds]
    rows += [(i, k, 0) for i, kinds in given.negative.items() for k in kinds]
    lines = [f"{i},verification,/m/{k},{there}" for i, k, there in rows]
    (folder / "labels.csv").write_text("\n".join(["ImageID,Source,LabelName,Confidence", *lines]))
    lists = {f"/m/{kind}": [f"/m/{high}" for high in parents] for kind, parents in PARENTS.items()}
    (folder / "parents.json").write_text(json.dumps(lists))
    return {path.stem: str(path) for path in folder.iterdir()}


def test_labels_and_hierarchies_come_from_files(files: dict[str, str]) -> None:
    given = scene(7)
    wanted = naive(given._replace(ignore=np.zeros(len(given.truths), np.bool_)), ABOVE)
    rules = {"rule": "open-images", "class_column": "LabelName", "federation": files["labels"]}
    found = jobs.evaluate(files["found"], files["truths"], **rules, hierarchy=files["parents"])
    by_class = dict(zip(found.evaluation.classes, found.evaluation.stats_by_class()["mAP"].tolist(), strict=True))
    assert {name: ap for name, ap in by_class.items() if ap >= 0} == {
        f"/m/{kind}": ap for kind, ap in enumerate(wanted.ap) if ap >= 0
    }
    assert found.evaluation.outcomes() == wanted.outcomes
    summary = found.to_dict()
    assert (summary["unverified"], summary["expanded"]) == (wanted.unverified, found.evaluation.expanded)
    few = jobs.evaluate(files["found"], files["truths"], **rules, hierarchy=files["parents"], rows=50)
    assert few.to_dict() == summary


@pytest.mark.jit
def test_the_command_says_what_was_left_out_and_added(files: dict[str, str]) -> None:
    given = ["evaluate", files["found"], files["truths"], "--rule", "open-images", "--class-column", "LabelName"]
    given += ["--federation", files["labels"], "--hierarchy", files["parents"]]
    result = CliRunner().invoke(main, given, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    wanted = json.loads(CliRunner().invoke(main, [*given, "--json"]).stdout)
    assert f"{wanted['unverified']:,} detections of classes that their image is not annotated for" in result.output
    assert f"{wanted['expanded']:,} of the truths are added for the classes above" in result.output
    counts = " · ".join(f"{name} {count:,}" for name, count in wanted["outcomes"].items())
    assert f"detections: {counts}" in result.output
    page = Path(files["found"]).with_name("page.html")
    assert CliRunner().invoke(main, [*given, "--report", str(page)]).exit_code == 0
    shown = page.read_text()
    assert f"{wanted['unverified']:,} detections of classes" in shown
    assert f"{wanted['expanded']:,} of the truths are added" in shown
    assert f"detections: {counts}" in shown


def test_classes_that_are_numbers_have_the_names_of_the_hierarchy() -> None:
    table = {"image_id": [1], "category_id": [0], "bbox": [[0.0, 0, 4, 4]]}
    detections = {"image_id": [1, 1], "category_id": [0, 1], "bbox": [[0.0, 0, 4, 4]] * 2, "score": [0.9, 0.8]}
    found = jobs.evaluate(
        detections,
        table,
        rule="open-images",
        names=["cat", "animal"],
        federation={"ImageID": [1], "LabelName": ["dog"]},
        hierarchy={"cat": ["animal", "being"]},
    ).evaluation
    assert (found.stats()["mAP"], found.classes, found.unverified) == (1.0, [0, 1], 0)


def test_the_nested_hierarchy_of_the_data_set(tmp_path: Path) -> None:
    cat = {"LabelName": "cat"}
    animals = {
        "LabelName": "animal",
        "Subcategory": [{"LabelName": "mammal", "Subcategory": [cat]}, {"LabelName": "ant"}],
    }
    pets = {"LabelName": "pet", "Subcategory": [cat], "Part": [{"LabelName": "collar"}]}
    path = tmp_path / "hierarchy.json"
    path.write_text(json.dumps({"LabelName": "entity", "Subcategory": [animals, pets]}))
    parents = parents_of(path)
    assert parents == {"mammal": ["animal"], "cat": ["mammal", "pet"], "ant": ["animal"]}
    assert above(parents)["cat"] == ["mammal", "pet", "animal"]
    assert below(parents)["animal"] == ["mammal", "cat", "ant"]
    path.write_text("[]")
    with pytest.raises(InputError, match=r"expected JSON of a hierarchy, .*, got something else"):
        parents_of(path)
    with pytest.raises(InputError, match="expected JSON of a hierarchy"):
        parents_of(tmp_path / "none.json")


def test_what_can_not_be_used_is_refused_or_said(tmp_path: Path) -> None:
    one = {"image_id": [1], "category_id": [3], "bbox": [[0.0, 0, 4, 4]]}
    with pytest.raises(InputError, match=r"expected the classes that images are annotated for, got none: .*labels.csv"):
        jobs.evaluate(one | {"score": [0.5]}, one, rule="open-images")
    with pytest.raises(
        InputError, match="expected a hierarchy with the rules lvis and open-images alone, got one with coco"
    ):
        jobs.evaluate(one | {"score": [0.5]}, one, hierarchy={3: [4]})
    with pytest.raises(InputError, match="expected columns ImageID and LabelName of verified labels"):
        image_labels({"ImageID": [1]})
    with pytest.raises(InputError, match="got a null in column 'LabelName'"):
        image_labels({"ImageID": [1, 2], "LabelName": ["cat", None]})
    with pytest.raises(InputError, match="expected a table of verified labels, CSV or Parquet"):
        image_labels(tmp_path / "none.parquet")
    boxes = Boxes([[0, 0, 4, 4]], images=[1])
    with pytest.warns(InputWarning, match="all 1 detections are of classes that their image is not annotated for"):
        fastbox.evaluate(
            boxes, [0.5], boxes, classes=["x"], truth_classes=["y"], rule="open-images", federation=Federation()
        )
