"""Limits of memory: sizes as people write them, the machine's own, and those of its control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

import fastbox
from fastbox import memory
from fastbox.errors import InputError

pytestmark = pytest.mark.usefixtures("as_before")


MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("536870912", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("0.5 gib", 512 * MIB),
        ("2GB", 2 * 10**9),
        ("600m", 600 * 10**6),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fastbox.set_memory(text)
    assert fastbox.get_memory() == size
    fastbox.set_memory(None)
    monkeypatch.setenv("FASTBOX_MEMORY", text)
    assert fastbox.get_memory() == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1 2GB", "1e9", "2XB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected an amount of memory as 2GB or 512MiB, got"):
        fastbox.set_memory(text)


def test_too_little_to_run_at_all_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"at least 512 MiB of memory, of which 400 MiB are the program's own, got '1MB'"
    ):
        fastbox.set_memory("1MB")


def test_all_of_the_machine_is_the_default() -> None:
    assert (fastbox.get_memory() or 512 * MIB) >= 512 * MIB
    assert memory.most_boxes() > memory.LEAST


GROUPS = {
    "no limit": ({"sys/fs/cgroup/memory.max": "max"}, "0::/\n", []),
    "its own": ({"sys/fs/cgroup/a/b/memory.max": "700"}, "0::/a/b\n", [700]),
    "one above": ({"sys/fs/cgroup/a/memory.max": "600", "sys/fs/cgroup/a/b/memory.max": "max"}, "0::/a/b\n", [600]),
    "the root, as in a container": ({"sys/fs/cgroup/memory.max": "500"}, "0::/docker/0123\n", [500]),
    "where it is slowed down": ({"sys/fs/cgroup/a/memory.high": "400"}, "0::/a/b\n", [400]),
    "another group's": ({"sys/fs/cgroup/c/memory.max": "300"}, "0::/a/b\n", []),
    "version 1": (
        {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "200", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9000"},
        "5:cpu,memory:/a/b\n3:cpuset:/c\n",
        [200, 9000],
    ),
    "both versions": (
        {"sys/fs/cgroup/unified/a/memory.max": "150", "sys/fs/cgroup/memory/b/memory.limit_in_bytes": "250"},
        "7:memory:/b\n0::/a\n",
        [150, 250],
    ),
    "a path with colons": ({"sys/fs/cgroup/a:b/memory.max": "100"}, "0::/a:b\n", [100]),
    "no groups": ({}, None, []),
    "what is no number": ({"sys/fs/cgroup/memory.max": "?"}, "nonsense", []),
}


@pytest.mark.parametrize("name", GROUPS)
def test_limits_of_all_control_groups_on_the_way_count(name: str, tmp_path: Path) -> None:
    limits, own, expected = GROUPS[name]
    for file, limit in {**limits, **({} if own is None else {"proc/self/cgroup": own})}.items():
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(limit)
    assert sorted(memory._limits(tmp_path)) == expected
    if expected:
        assert memory._of_machine(str(tmp_path)) == expected[0]
