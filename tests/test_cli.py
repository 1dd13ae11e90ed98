"""The command line as a process: exit codes, one sentence for what fails, and nothing left behind."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from fastbox import jobs
from fastbox.cli import main

CORNERS = ("xmin", "ymin", "xmax", "ymax")
COMMAND = (sys.executable, "-W", "error", "-m", "fastbox")
COMMANDS = ("measure", "pairs", "convert", "sample")


def boxes(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    return np.concatenate([low, low + rng.uniform(1, 80, (n, 2))], axis=1).astype("float32")


def write_pairs(path: Path, n: int) -> Path:
    sides = {"pred_": boxes(n, 0), "target_": boxes(n, 1)}
    pq.write_table(pa.table({s + name: b[:, k] for s, b in sides.items() for k, name in enumerate(CORNERS)}), path)
    return path


def write_boxes(path: Path, ids: Any, **more: Any) -> Path:
    made = boxes(len(ids), len(ids))
    pq.write_table(pa.table({"image_id": ids, **{name: made[:, k] for k, name in enumerate(CORNERS)}, **more}), path)
    return path


def write_coco(path: Path) -> Path:
    annotation = {"id": 1, "image_id": 4, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0}
    images = [{"id": 4, "width": 50, "height": 40}]
    path.write_text(json.dumps({"images": images, "annotations": [annotation], "categories": [{"id": 1, "name": "a"}]}))
    return path


def call(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refused(*arguments: Any) -> str:
    """The one sentence of a command that can't do with what it is given."""
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert isinstance(result.exception, SystemExit)
    return result.stderr.removeprefix("error: ").rstrip("\n")


def start(*arguments: Any, before: Callable[[], None] | None = None, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        preexec_fn=before,
        env={**os.environ, **environment},
    )


def run(*arguments: Any, before: Callable[[], None] | None = None, **environment: str) -> tuple[int, str, str]:
    process = start(*arguments, before=before, **environment)
    out, said = process.communicate(timeout=120)
    return process.returncode, out, said


def in_terminal(*arguments: Any, until: Callable[[str], bool] | None = None) -> tuple[int, str]:
    """Exit code and what a terminal gets; Ctrl-C is typed once `until` holds of what was shown."""
    child, terminal = pty.fork()
    if child == 0:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        os.execve(sys.executable, [*COMMAND, *map(str, arguments)], environment)
    shown, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if until is not None and until(shown.decode(errors="replace")):
            os.write(terminal, b"\x03")
            until = None
        if not select.select([terminal], [], [], 0.05)[0]:
            continue
        try:
            part = os.read(terminal, 65_536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


# help and usage


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_fits_eighty_columns(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = call(*command, "--help")
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert "FLOAT" not in result.stdout and "INTEGER" not in result.stdout
    assert call(*command, "-h").stdout == result.stdout


def test_without_a_command_help_is_shown() -> None:
    result = call()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mesure",), "no such command 'mesure'. Did you mean 'measure'? (see fastbox --help)"),
        (("--fast",), "no such option '--fast' (see fastbox --help)"),
        (("--threads", "0"), "invalid value for '--threads': 0 is not in the range x>=1 (see fastbox --help)"),
        (("measure",), "missing argument 'PAIRS...' (see fastbox measure --help)"),
        (("measure", "p", "--metrics", "gio"), "did you mean 'giou'? (see fastbox measure --help)"),
        (("measure", "p", "--metrics", " ,"), "got none (see fastbox measure --help)"),
        (("measure", "p", "--beta", "nan"), "expected 0 or more, got nan (see fastbox measure --help)"),
        (("pairs", "d", "--beta", "-1"), "expected 0 or more, got -1.0 (see fastbox pairs --help)"),
        (("pairs", "d", "--threshold", "nan"), "expected a number, got nan (see fastbox pairs --help)"),
        (("pairs", "d", "t", "u"), "got unexpected extra argument (u) (see fastbox pairs --help)"),
        (("pairs", "d", "t", "--best", "--all"), "expected either every pair or the best of each detection, got both"),
        (("pairs", "d", "--best"), "expected two tables to find the best truth of each detection, got one"),
        (("sample", "o", "--images", "-1"), "'--images': -1 is not in the range x>=0 (see fastbox sample --help)"),
    ],
)
def test_usage_errors_are_sentences_too(arguments: tuple[str, ...], sentence: str) -> None:
    assert refused(*arguments).endswith(sentence)


def test_threads_from_the_environment_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.parallel._threads", None)
    monkeypatch.setenv("FASTBOX_NUM_THREADS", "many")
    assert "FASTBOX_NUM_THREADS" in refused("measure", write_pairs(tmp_path / "p.parquet", 3))


def test_threads_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.parallel._threads", None)
    path = write_pairs(tmp_path / "p.parquet", 30)
    assert call("--threads", 3, "measure", path, "--json").exit_code == 0
    assert sys.modules["fastbox.parallel"].get_num_threads() == 3


# what is printed


def test_json_is_all_that_is_printed(tmp_path: Path) -> None:
    coco = write_coco(tmp_path / "c.json")
    made = write_boxes(tmp_path / "d.parquet", [1, 1, 2])
    wide = pa.table({"pred": [[-1e308, 0, 1e308, 1]], "target": [[0.0, 0, 1, 1]]})
    pq.write_table(wide, tmp_path / "w.parquet")
    for arguments in (
        ("measure", tmp_path / "w.parquet", "-o", tmp_path / "m.parquet"),
        ("pairs", made, made, "--best", "-o", tmp_path / "o.parquet"),
        ("pairs", made),
        ("convert", coco, tmp_path / "t.parquet", "--images", tmp_path / "i.parquet"),
        ("sample", tmp_path / "s.parquet", "--images", 3),
    ):
        result = call(*arguments, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        assert isinstance(json.loads(result.stdout, parse_constant=lambda name: pytest.fail(name)), dict)


def test_every_output_is_named(tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("s.parquet", "s-detections.parquet", "p.parquet")]
    text = call("sample", outputs[0], "--images", 5, "--pairs", outputs[2]).stdout
    assert [line for line in text.splitlines() if line.startswith("→")] == [f"→ {path}" for path in outputs]
    assert all(path.exists() for path in outputs)


@pytest.mark.jit
def test_a_terminal_that_has_no_such_letters(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.parquet", 30)
    code, out, said = run("measure", path, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (code, said) == (0, "")
    assert "30 rows" in out


@pytest.mark.jit
def test_progress_is_shown_and_gone_afterwards(tmp_path: Path) -> None:
    many = [write_pairs(tmp_path / "p.parquet", 400_000)] * 12
    code, shown = in_terminal("measure", *many, "--metrics", "iou")
    assert code == 0
    bar, after = shown.rsplit("measuring", 1)
    assert "M rows/s" in bar or "k rows/s" in bar
    assert "0:00:" in bar and "left" in bar
    assert "\x1b[2K" in after  # the bar's line is erased
    assert "4,800,000 rows" in after
    assert "rows/s" not in after.split("\x1b[2K", 1)[1]


@pytest.mark.jit
def test_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    many = [write_boxes(tmp_path / "d.parquet", np.arange(500_000) // 5)] * 1
    rest = tmp_path / "more.parquet"
    write_boxes(rest, 10**6 + np.arange(500_000) // 1000)
    paths = [tmp_path / "both"]
    paths[0].mkdir()
    (tmp_path / "both" / "0.parquet").symlink_to(many[0])
    (tmp_path / "both" / "1.parquet").symlink_to(rest)
    before = sorted(os.listdir(tmp_path))
    code, shown = in_terminal(
        "pairs", paths[0], "--all", "-o", tmp_path / "o.parquet", until=lambda text: "rows/s" in text
    )
    assert code == 1
    assert "Traceback" not in shown
    assert shown.count("interrupted; nothing was written") == 1
    assert "\x1b[2K" in shown.split("rows/s")[-1]
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.jit
def test_no_color_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[31m" in in_terminal("measure", tmp_path / "none.parquet")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    code, shown = in_terminal("measure", tmp_path / "none.parquet")
    assert code == 2
    assert shown.startswith("error: expected a Parquet file, got no file")


# what fails


def little_room() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


@pytest.mark.jit
@pytest.mark.parametrize("command", ["pairs", "sample"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, command: str) -> None:
    path = write_boxes(tmp_path / "d.parquet", np.arange(60_000) // 10)
    jobs.pairs(path, every=True)  # compiled and cached: no cache file need be written under the limit
    arguments = ("pairs", path, "--all") if command == "pairs" else ("sample", "--images", 20_000)
    output = ("-o", tmp_path / "o.parquet") if command == "pairs" else (tmp_path / "o.parquet",)
    code, out, said = run(*arguments, *output, before=little_room)
    assert (code, out) == (1, "")
    assert said == "error: File too large; nothing was written\n"
    assert os.listdir(tmp_path) == ["d.parquet"]


@pytest.mark.jit
def test_a_closed_pipe_is_no_news(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.parquet", 30)
    for option in ("--json", "--metrics=iou"):
        process = start("measure", path, option)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        process.stderr.close()
        assert process.wait(timeout=120) == 1


def test_a_bug_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("expected this never to happen")

    monkeypatch.setattr(jobs, "measure", broken)
    result = call("measure", write_pairs(tmp_path / "p.parquet", 3))
    assert isinstance(result.exception, ValueError)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "out of memory; nothing was written"),
        (KeyboardInterrupt(), "interrupted; nothing was written"),
        (
            OSError(28, "No space left on device", "o.parquet"),
            "No space left on device (o.parquet); nothing was written",
        ),
        (OSError("damaged"), "damaged; nothing was written"),
    ],
)
def test_what_could_not_be_finished(monkeypatch: pytest.MonkeyPatch, error: BaseException, sentence: str) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(jobs, "pairs", failing)
    result = call("pairs", "d.parquet")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"error: {sentence}\n")


def test_inputs_that_do_not_go_together(tmp_path: Path) -> None:
    numbers = write_boxes(tmp_path / "n.parquet", [1, 2], category_id=[1, 2])
    names = write_boxes(tmp_path / "s.parquet", ["a", "b"], category_id=["x", "y"])
    late = write_boxes(tmp_path / "l.parquet", [0, 1], category_id=["x", "y"])
    assert "image ids of one kind in both tables" in refused("pairs", numbers, names)
    assert "classes of one kind" in refused("pairs", numbers, late, "--by-class")
    assert "'image_id'" in refused("pairs", numbers, "--image", "imageid")
    assert "category_id" in refused("pairs", numbers, "--by-class", "--class", "category")
    assert "no input" in refused("pairs", numbers, late, "-o", late)
    assert "no input" in refused("measure", write_pairs(tmp_path / "p.parquet", 3), "-o", tmp_path / "p.parquet")
    (tmp_path / "empty").mkdir()
    assert "got none" in refused("measure", tmp_path / "empty")
    assert "got none" in refused("measure", tmp_path / "*.nothing")


def test_inputs_that_are_not_what_they_seem(tmp_path: Path) -> None:
    for content, words in ((b"", "empty"), (b"no JSON", "JSON"), (b'{"images": [', "JSON"), (b'{"a": 1}', "")):
        (tmp_path / "c.json").write_bytes(content)
        assert words in refused("convert", tmp_path / "c.json", tmp_path / "o.parquet")
    assert "no file" in refused("convert", tmp_path / "none.json", tmp_path / "o.parquet")
    write_coco(tmp_path / "c.json")
    assert "missing" in refused("convert", tmp_path / "c.json", tmp_path / "missing" / "o.parquet")
    assert "missing" in refused("sample", tmp_path / "missing" / "o.parquet", "--images", 3)
    assert os.listdir(tmp_path) == ["c.json"]


def test_a_failed_run_leaves_an_earlier_output_as_it_was(tmp_path: Path) -> None:
    good = write_pairs(tmp_path / "p.parquet", 20)
    assert call("measure", good, "-o", tmp_path / "o.parquet").exit_code == 0
    earlier = (tmp_path / "o.parquet").read_bytes()
    spoiled = pq.read_table(good)
    nulls = pa.array([None if k == 19 else 1.0 for k in range(20)], pa.float32())
    pq.write_table(spoiled.set_column(0, "pred_xmin", nulls), tmp_path / "bad.parquet")
    assert "row 19" in refused("measure", good, tmp_path / "bad.parquet", "-o", tmp_path / "o.parquet")
    assert (tmp_path / "o.parquet").read_bytes() == earlier
    assert sorted(os.listdir(tmp_path)) == ["bad.parquet", "o.parquet", "p.parquet"]


def test_an_image_of_very_many_boxes(tmp_path: Path) -> None:
    n = 200_000
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1e6, (n, 2)).astype("float32")
    columns = dict(zip(CORNERS, [*low.T, *(low + np.float32(40)).T], strict=True))
    pq.write_table(pa.table({"image_id": np.zeros(n, int), **columns}), tmp_path / "d.parquet")
    pq.write_table(pq.read_table(tmp_path / "d.parquet").slice(5, 3), tmp_path / "t.parquet")
    result = call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--threshold", 0.999, "--json")
    assert json.loads(result.stdout)["pairs"] == 3
