"""Object stores: a real S3 server on this machine, written to and read from, and nothing partial in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from fastbox import InputError, jobs
from fastbox.fragments import spread
from fastbox.storage.locate import find_files
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink

server = pytest.importorskip("moto.server", reason="no S3 server is installed")
pytestmark = [
    pytest.mark.store,
    pytest.mark.filterwarnings("ignore"),  # of the server's own making
]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket's URI; its credentials are in the environment, as they would be."""
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    _, port = running.get_host_and_port()
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    given |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        there = {"endpoint_override": f"127.0.0.1:{port}", "scheme": "http"}
        pafs.S3FileSystem(allow_bucket_creation=True, **there).create_dir("boxes")
        yield "s3://boxes"
    running.stop()


def store_of(uri: str) -> pafs.FileSystem:
    return pafs.FileSystem.from_uri(uri)[0]


def table(n: int = 600, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 200, (n, 2)), rng.uniform(5, 100, (n, 2))
    corners = np.hstack((corner, corner + side)).astype(np.float32)
    rows: dict[str, Any] = {"image_id": np.sort(rng.integers(0, 60, n)), "score": rng.random(n)}
    return pa.table(rows | {name: corners[:, k] for k, name in enumerate(("xmin", "ymin", "xmax", "ymax"))})


def test_jobs_read_and_write_a_store_as_a_folder(bucket: str, tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "d.parquet", row_group_size=50)
    store = store_of(bucket)
    for number, rows in enumerate((table()[:300], table()[300:])):
        pq.write_table(rows, f"boxes/in/{number}.parquet", filesystem=store, row_group_size=50)
    whole = jobs.nms(tmp_path / "d.parquet", tmp_path / "kept.parquet")
    assert jobs.nms(f"{bucket}/in", f"{bucket}/kept.parquet").to_dict() == whole.to_dict()
    assert pq.read_table("boxes/kept.parquet", filesystem=store).equals(pq.read_table(tmp_path / "kept.parquet"))
    assert read_record(f"{bucket}/kept.parquet")["rows"] == whole.kept

    for _ in range(2):
        found = spread(jobs.nms, f"{bucket}/in", out=f"{bucket}/parts/", fragment_rows=100)
        assert found.to_dict() == whole.to_dict()
    parts = find_files(f"{bucket}/parts")
    assert len(parts) > 3
    assert pa.concat_tables([pq.read_table(p[5:], filesystem=store) for p in parts]).num_rows == whole.kept
    with pytest.raises(InputError, match="of another run"):
        spread(jobs.nms, f"{bucket}/in", out=f"{bucket}/parts", fragment_rows=200)
    spread(jobs.nms, f"{bucket}/in", out=f"{bucket}/parts", fragment_rows=200, overwrite=True)
    assert 1 < len(find_files(f"{bucket}/parts")) < len(parts)


def test_objects_are_found_as_files_are(bucket: str) -> None:
    store = store_of(bucket)
    for name in ("a.parquet", "b.parquet", "c.txt", "deep/d.parquet"):
        with store.open_output_stream(f"boxes/find/{name}") as stream:
            stream.write(b"x")
    assert find_files(f"{bucket}/find/a.parquet") == [f"{bucket}/find/a.parquet"]
    assert find_files(f"{bucket}/find") == [
        f"{bucket}/find/{name}" for name in ("a.parquet", "b.parquet", "deep/d.parquet")
    ]
    assert find_files(f"{bucket}/find/*.parquet") == [f"{bucket}/find/a.parquet", f"{bucket}/find/b.parquet"]
    for missing in ("find/x.parquet", "none", "find/x*"):
        with pytest.raises(InputError, match="expected Parquet at s3://"):
            find_files(f"{bucket}/{missing}")


def test_what_can_not_be_reached_is_told_in_a_sentence(bucket: str) -> None:
    with (
        pytest.raises(InputError, match=r"expected .*s3://nobody/x\.parquet"),
        Sink("s3://nobody/x.parquet", table().schema, command="test", parameters={}) as sink,
    ):
        sink.write(table())
    with pytest.raises(InputError, match="nowhere://a/b"):
        find_files("nowhere://a/b.parquet")
    with store_of(bucket).open_output_stream("boxes/damaged.parquet") as stream:
        stream.write(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"expected a Parquet file, got s3://boxes/damaged\.parquet"):
        jobs.nms(f"{bucket}/damaged.parquet")


SCRIPT = """
import sys
import numpy as np, pyarrow as pa
from fastbox.storage import stores
from fastbox.tables.sink import Sink

class Slow:  # says when it is in the middle of the upload, and waits to be killed there
    def __init__(self, stream):
        self.stream = stream
    def write(self, data):
        self.stream.write(data)
        print("uploading", flush=True)
        sys.stdin.read()
    def close(self):
        self.stream.close()

store, path = stores._store(sys.argv[1])
open_output_stream = store.open_output_stream

class Store:
    def open_output_stream(self, path):
        return Slow(open_output_stream(path))

stores._store = lambda uri: (Store(), path)
table = pa.table({"a": np.random.default_rng(0).random(3_000_000)})
with Sink(sys.argv[1], table.schema, command="test", parameters={}) as sink:
    sink.write(table)
"""


def test_a_kill_during_upload_leaves_what_was_there(bucket: str) -> None:
    uri = f"{bucket}/big.parquet"
    for before in (False, True):
        if before:
            with Sink(uri, table().schema, command="test", parameters={}) as sink:
                sink.write(table())
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, uri],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        ) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "uploading\n"
            run.send_signal(signal.SIGKILL)
        if before:
            assert read_record(uri)["rows"] == 600
        else:
            with pytest.raises(InputError, match="expected Parquet at"):
                find_files(uri)
