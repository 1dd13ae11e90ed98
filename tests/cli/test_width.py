"""The output of every command on the sample in a terminal of 80 columns: no line is longer, and none is wrapped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.commands import COMMANDS
from support.paths import ROOT

from fastbox.cli import main

LINES = (
    "assign truths.parquet --anchors retinanet --resize shorter=800,longer=1333",
    "convert truths.parquet made.json",
    "evaluate detections.parquet truths.parquet --bootstrap 3",
    "evaluate models.parquet truths.parquet --by model --bootstrap 3 --compare",
    "evaluate detections.parquet detections_of_another_training_run.parquet two.parquet truths.parquet --compare",
    "evaluate detections.parquet truths.parquet --style coco",
    "evaluate detections.parquet truths.parquet --bootstrap 3 --slice-by crowding --slice-by iscrowd",
    "evaluate models.parquet truths.parquet --by model --slice-by crowding",
    "experiment disagreement pairs.parquet",
    "experiment regression --points 2 --steps 5",
    "fuse detections.parquet detections.parquet --weights 2,1",
    "inspect truths.parquet",
    "measure pairs.parquet --metrics iou,giou_loss,smooth_l1 --grad",
    "nms detections.parquet --method soft-gaussian",
    "pairs detections.parquet truths.parquet --metrics iou,giou,l1",
    "plan detections.parquet truths.parquet",
    "sort detections.parquet -o sorted.parquet",
    "suspects detections.parquet truths.parquet",
    "suspects models.parquet truths.parquet --by model --min-suspicion 0",
    "synthesize made.parquet --count 3",
)
# Configurations to copy, in lines of their own; a minute of measurements; the state of the cache.
ELSEWHERE = {("anchors",), ("bench",), ("warmup",)}
CHART = set(" ▁▂▃▄▅▆▇█")


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_no_line_is_wrapped(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("detections", "truths", "pairs"):
        shutil.copyfile(ROOT / "data" / f"{name}.parquet", tmp_path / f"{name}.parquet")
    detections = pq.read_table(tmp_path / "detections.parquet")
    models = pa.concat_tables(
        detections.append_column("model", pa.array([name] * len(detections)))
        for name in ("resnet50", "transformer_large_with_a_very_long_name_of_its_training_run")
    )
    pq.write_table(models.sort_by("image_id"), tmp_path / "models.parquet")
    for name in ("detections_of_another_training_run", "two"):
        pq.write_table(detections, tmp_path / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, line.split(), env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    shown = result.stdout.splitlines()
    assert shown and max(map(len, shown)) <= 80
    wrapped = [text for text in shown if text.endswith(" ") and not set(text) <= CHART and not text.startswith("…")]
    assert wrapped == []


def test_every_command_is_looked_at() -> None:
    looked = {words for words in COMMANDS if any(line.split()[: len(words)] == list(words) for line in LINES)}
    assert set(COMMANDS) - looked == ELSEWHERE
