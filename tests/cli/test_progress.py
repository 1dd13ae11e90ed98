"""Progress is drawn in terminals only, and messages stand above the bar."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.calls import copies, images_table, pairs_table


def in_terminal(*arguments: Any) -> str:
    """What a command writes to a terminal."""
    main_end, command_end = pty.openpty()
    command = [sys.executable, "-m", "fastbox", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=command_end, stdin=subprocess.DEVNULL) as process:
        os.close(command_end)
        text = b""
        while True:
            try:
                part = os.read(main_end, 65_536)
            except OSError:
                break
            if not part:
                break
            text += part
    os.close(main_end)
    assert process.returncode == 0
    return text.decode()


@pytest.mark.slow
@pytest.mark.jit
def test_progress_is_for_terminals_only(tmp_path: Path) -> None:
    shown = in_terminal("measure", *copies(pairs_table(1_000), tmp_path, 2))
    assert "measuring" in shown
    assert "all rows are read, the rest follows" in shown
    silent = subprocess.run(
        [sys.executable, "-m", "fastbox", "measure", str(tmp_path / "0.parquet")], capture_output=True, text=True
    )
    assert (silent.returncode, silent.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.jit
def test_what_is_said_stands_above_the_bar_in_one_piece(tmp_path: Path) -> None:
    pq.write_table(images_table([3, 1, 2], 0, score=[0.5, 0.5, 0.5]), tmp_path / "d.parquet")
    text = in_terminal("nms", tmp_path / "d.parquet")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n")
    (said,) = [line for line in lines if "is not sorted" in line]
    assert said.startswith(f"{tmp_path / 'd.parquet'} is not sorted by image_id: its 3 rows were sorted in memory; `")
    assert said.endswith("` writes a sorted copy")
