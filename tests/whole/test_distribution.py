"""The sdist and the wheel: their files, and what their metadata promises."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from typing import Any, NamedTuple

import pytest
from support.paths import ROOT

import fastbox

pytestmark = pytest.mark.slow

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOME = f"fastbox_engine-{fastbox.__version__}"

# Every file of the sdist fits one pattern, and every pattern at least one file.
SDIST = (
    r"PKG-INFO|\.gitignore",  # hatchling's own
    r"LICENSE|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md|CITATION\.cff",
    r"pyproject\.toml|hatch_build\.py|mkdocs\.yml|noxfile\.py",
    r"fastbox/([a-z0-9_]+/)*[a-z0-9_]+\.py",
    r"fastbox/py\.typed",
    r"fastbox/kernels/build/runtime\.ll",
    r"fastbox/report/page/page\.(css|html\.j2|js)",
    r"data/(README\.md|make_sample\.py|expected\.json|(detections|pairs|truths)\.parquet)",
    r"docs/([a-z_-]+/)*[a-z0-9_-]+\.(css|ipynb|md|png|py|svg)",
    r"bench/(README\.md|([a-z_]+/)*[a-z0-9_]+\.(ini|json|py))",
    r"tests/([a-z_]+/)*[a-z0-9_]+\.(json|parquet|py)",
)
INFO = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")


class Built(NamedTuple):
    """The names of the files in both distributions, and the metadata of the wheel."""

    sdist: list[str]
    wheel: list[str]
    metadata: Message


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("hatchling", reason="hatchling, which builds the distributions, is not installed")
    folder = tmp_path_factory.mktemp("dist")
    plain = {name: value for name, value in os.environ.items() if name != "FASTBOX_NATIVE"}
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, env=plain, check=True)
    with tarfile.open(folder / f"{HOME}.tar.gz") as sdist:
        names = [one.name.removeprefix(f"{HOME}/") for one in sdist.getmembers() if one.isfile()]
    with zipfile.ZipFile(folder / f"{HOME}-py3-none-any.whl") as wheel:
        metadata = email.message_from_bytes(wheel.read(f"{HOME}.dist-info/METADATA"))
        return Built(sorted(names), sorted(wheel.namelist()), metadata)


def ours(folder: str) -> list[str]:
    """The files below a folder of the checkout that belong to a distribution."""
    left_out = {"__pycache__", "native"}
    paths = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()]
    return sorted(path.as_posix() for path in paths if not left_out.intersection(path.parts))


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    assert built.wheel == sorted([*ours("fastbox"), *(f"{HOME}.dist-info/{name}" for name in INFO)])
    assert "fastbox/py.typed" in built.wheel


def test_the_sdist_holds_what_builds_tests_and_explains_the_package(built: Built) -> None:
    assert [name for name in built.sdist if not any(re.fullmatch(pattern, name) for pattern in SDIST)] == []
    assert [pattern for pattern in SDIST if not any(re.fullmatch(pattern, name) for name in built.sdist)] == []
    for folder in ("data", "docs", "fastbox", "tests"):
        assert [name for name in ours(folder) if name not in built.sdist] == []


def test_the_metadata_are_those_of_the_project(built: Built) -> None:
    metadata = built.metadata
    assert metadata["Name"] == PROJECT["name"] and metadata["Version"] == fastbox.__version__
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License-File"] == "LICENSE"
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = metadata.get_payload(decode=True)
    assert isinstance(page, bytes) and page.strip() == (ROOT / "README.md").read_bytes().strip()
    required = [one for one in metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert sorted(required) == sorted(PROJECT["dependencies"])


def test_the_oldest_python_is_the_first_of_the_classifiers() -> None:
    named = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", one) for one in PROJECT["classifiers"]]
    versions = [int(found[1].partition(".")[2]) for found in named if found]
    assert versions == list(range(versions[0], versions[-1] + 1))
    assert PROJECT["requires-python"] == f">=3.{versions[0]}"


def test_the_citation_agrees_with_the_project() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format requires
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    assert citation.get("version", fastbox.__version__) == fastbox.__version__
    addresses = {citation[key] for key in ("url", "repository-code") if key in citation}
    assert addresses <= set(PROJECT.get("urls", {}).values())
