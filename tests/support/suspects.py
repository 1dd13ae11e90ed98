"""Suspects as a loop over truths, detections and models finds them, in float64."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

__all__ = ["Rows", "naive"]

Rows = dict[str, list[Any]]
PRIOR, LEAST_WEIGHT = 5.0, 0.01


def iou(a: Any, b: Any, *, by_first: bool = False) -> float:
    """IoU of corners, or the share of the first box."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (across > 0 and down > 0):
        return 0.0
    own, its = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return across * down / (own if by_first else own + its - across * down)


def size(box: Any) -> int:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return sum(area >= 4.0**k for k in range(1, 12))


class Loop:
    """Detections and truths as lists of columns: image_id, category_id, box; score and model; iscrowd and ignore."""

    def __init__(self, detections: Rows, truths: Rows, least: float) -> None:
        self.d, self.t, self.least = detections, truths, least
        self.boxes = [np.asarray(box, np.float64) for box in detections["box"]]
        self.truths = [np.asarray(box, np.float64) for box in truths["box"]]
        n, m = len(self.boxes), len(self.truths)
        self.apart = [bool(truths["iscrowd"][k] or truths["ignore"][k]) for k in range(m)]
        self.models = sorted(set(detections["model"])) or [None]
        self.said = {
            (i, j): iou(self.boxes[i], self.truths[j], by_first=truths["iscrowd"][j])
            for i in range(n)
            for j in range(m)
            if detections["image_id"][i] == truths["image_id"][j]
        }
        self.own, self.wrong, self.placed, self.missing = set(), {}, {}, []
        for i in range(n):
            self._place(i)
        self.recall = self._recalls()

    def same(self, i: int, j: int) -> bool:
        return bool(self.d["category_id"][i] == self.t["category_id"][j])

    def _place(self, i: int) -> None:
        if not self.d["score"][i] >= self.least:
            return
        met = {j: value for (row, j), value in self.said.items() if row == i and not self.apart[j]}
        own = {j: value for j, value in met.items() if self.same(i, j)}
        other = {j: value for j, value in met.items() if not self.same(i, j)}
        model, score = self.d["model"][i], self.d["score"][i]
        if max(own.values(), default=0) >= 0.5:
            self.own |= {(j, model, i) for j, value in own.items() if value >= 0.5}
            return
        if any(v >= 0.5 and self.apart[j] and self.same(row, j) for (row, j), v in self.said.items() if row == i):
            return
        if max(other.values(), default=0) >= 0.5:
            j = max(other, key=lambda j: other[j])
            self.wrong[j, model] = max(self.wrong.get((j, model), (-1, 0, 0)), (score * other[j], -i, other[j]))
        elif max(own.values(), default=0) >= 0.1:
            j = max(own, key=lambda j: own[j])
            self.placed[j, model] = max(self.placed.get((j, model), (-1, 0, 0)), (score, -i, own[j]))
        elif max(met.values(), default=0) < 0.1:
            self.missing.append(i)

    def _recalls(self) -> dict[Any, float]:
        """Recall by model, class and size."""
        wanted: Any = defaultdict(int)
        found: Any = defaultdict(int)
        for j in range(len(self.truths)):
            if not self.apart[j]:
                wanted[self.t["category_id"][j], size(self.truths[j])] += 1
                for model in self.models:
                    hit = any(row == j and own == model for row, own, _ in self.own)
                    found[model, self.t["category_id"][j], size(self.truths[j])] += hit
        shares = {}
        for model in self.models:
            mine = {key[1:]: count for key, count in found.items() if key[0] == model}
            of_all = sum(mine.values()) / max(sum(wanted.values()), 1)
            for kind in {*self.d["category_id"], *self.t["category_id"]}:
                for step in range(12):
                    hits, all_ = (sum(v for k, v in some.items() if k[1] == step) for some in (mine, wanted))
                    of_size = (hits + PRIOR * of_all) / (all_ + PRIOR)
                    own = mine.get((kind, step), 0), wanted.get((kind, step), 0)
                    shares[model, kind, step] = (own[0] + PRIOR * of_size) / (own[1] + PRIOR)
        return shares

    def truth(self, j: int) -> list[tuple[Any, ...]]:
        """The kinds of a truth: kind, truth, detection, suspicion, models, suggested class."""
        if self.apart[j]:
            return []
        agreed = {model for row, model, _ in self.own if row == j}
        wrong = {m: self.wrong[j, m] for m in self.models if (j, m) in self.wrong and m not in agreed}
        placed = {m: self.placed[j, m] for m in self.models if (j, m) in self.placed and m not in agreed}
        speak, found = len({*agreed, *wrong, *placed}), []
        if wrong:
            classes: Any = defaultdict(list)
            for claim in wrong.values():
                classes[self.d["category_id"][-claim[1]]].append(claim)
            kind = min(classes, key=lambda kind: (-sum(claim[0] for claim in classes[kind]), kind))
            claims = classes[kind]
            total = sum(claim[0] for claim in claims) / speak
            found.append(("wrong_class", j, -max(claims)[1], total, len(claims), kind))
        if placed:
            total = sum(claim[0] for claim in placed.values()) / speak
            found.append(("badly_placed", j, -max(placed.values())[1], total, len(placed), None))
        return [*found, *self.spurious(j), *self.duplicate(j)]

    def spurious(self, j: int) -> list[tuple[Any, ...]]:
        if any(
            row == j and self.takes_part(i) and v >= (0.1 if self.same(i, j) else 0.5)
            for (i, row), v in self.said.items()
        ):
            return []
        kind = self.t["category_id"][j], size(self.truths[j])
        total = sum(self.recall[(model, *kind)] for model in self.models)
        return [("spurious", j, None, total / len(self.models), len(self.models), None)]

    def takes_part(self, i: int) -> bool:
        """Whether a detection has a sufficient score, and hits no crowd or ignored truth of its class alone."""
        hits = {j for (row, j), value in self.said.items() if row == i and value >= 0.5 and self.same(i, j)}
        return bool(self.d["score"][i] >= self.least and (not hits or any(not self.apart[j] for j in hits)))

    def duplicate(self, j: int) -> list[tuple[Any, ...]]:
        twins = {
            k: iou(self.truths[j], self.truths[k])
            for k in range(len(self.truths))
            if k != j
            and not self.apart[k]
            and all(self.t[name][k] == self.t[name][j] for name in ("image_id", "category_id"))
        }
        if max(twins.values(), default=0) < 0.5:
            return []
        k = max(twins, key=lambda k: (twins[k], -k))
        fits = [
            sum(
                max((self.said[i, t] for row, m, i in self.own if row == t and m == model), default=0)
                for model in self.models
            )
            for t in (j, k)
        ]
        if fits[0] > fits[1] or (fits[0] == fits[1] and j < k):
            return []
        shared, speak = [], 0
        for model in self.models:
            hits = {row: {i for own, m, i in self.own if own == row and m == model} for row in (j, k)}
            speak += bool(hits[j] | hits[k])
            if len(hits[j] | hits[k]) == 1 and hits[j] & hits[k]:
                (i,) = hits[j]
                shared.append((self.d["score"][i], -i))
        if not shared:
            return []
        total = twins[k] * sum(score for score, _ in shared) / speak
        return [("duplicate", j, -max(shared)[1], total, len(shared), None)]

    def objects(self) -> list[tuple[Any, ...]]:
        """Objects without a truth."""
        left = sorted(self.missing, key=lambda i: (-self.d["score"][i], i))
        found = []
        heads: list[tuple[int, list[int]]] = []
        for i in left:
            for head, own in heads:
                alike = all(self.d[name][i] == self.d[name][head] for name in ("image_id", "category_id"))
                if alike and iou(self.boxes[i], self.boxes[head]) >= 0.5:
                    own.append(i)
                    break
            else:
                heads.append((i, [i]))
        for head, own in heads:
            kind = self.d["category_id"][head], size(self.boxes[head])
            weights = {model: max(self.recall[(model, *kind)], LEAST_WEIGHT) for model in self.models}
            scores: dict[Any, float] = {}
            for i in own:
                scores[self.d["model"][i]] = max(scores.get(self.d["model"][i], 0), self.d["score"][i])
            total = sum(weights[model] * score for model, score in scores.items()) / sum(weights.values())
            found.append(("missing", None, head, total, len(scores), kind[0]))
        return found


def naive(detections: Rows, truths: Rows, least: float) -> list[tuple[Any, ...]]:
    """Kind, truth, detection, suspicion, number of models, and suggested class of all suspects."""
    loop = Loop(detections, truths, least)
    return [*(one for j in range(len(loop.truths)) for one in loop.truth(j)), *loop.objects()]
