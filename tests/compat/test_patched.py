"""fastbox in place of pycocotools, and pycocotools back in its place."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest

from fastbox.compat import coco, cocoeval
from fastbox.compat.cocoeval import patch, unpatch


def imported() -> tuple[Any, Any]:
    """What a program gets that imports from pycocotools now."""
    return importlib.import_module("pycocotools.coco"), importlib.import_module("pycocotools.cocoeval")


def test_pycocotools_is_replaced_and_comes_back() -> None:
    package = pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    before = imported()
    with patch() as first:
        assert imported() == (coco, cocoeval)
        assert (package.coco, package.cocoeval) == (coco, cocoeval)
        assert importlib.import_module("pycocotools.mask").__name__ == "pycocotools.mask"
        patch()
        first.undo()
        first.undo()
    assert imported() == (coco, cocoeval)  # of the second patch
    unpatch()
    unpatch()
    assert imported() == before and (package.coco, package.cocoeval) == before


def test_modules_that_were_not_imported_before_are_not_after(python: Any) -> None:
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    code = (
        "import sys; from fastbox.compat.cocoeval import patch\n"
        "with patch(): from pycocotools.cocoeval import COCOeval\n"
        "package = sys.modules['pycocotools']\n"
        "print(COCOeval.__module__, 'pycocotools.cocoeval' in sys.modules, hasattr(package, 'coco'))\n"
        "from pycocotools.cocoeval import COCOeval; print(COCOeval.__module__)"
    )
    assert python(code).stdout.split() == ["fastbox.compat.cocoeval", "False", "False", "pycocotools.cocoeval"]


def test_pycocotools_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "pycocotools"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("fastbox.compat.patched.find_spec", lambda name: None)
    with patch():
        assert imported() == (coco, cocoeval)
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("pycocotools.mask")
    assert "pycocotools" not in sys.modules


def test_fastbox_does_not_import_it(python: Any) -> None:
    assert python("import sys, fastbox, fastbox.evaluation; print('fastbox.compat' in sys.modules)").stdout == "False\n"


def test_another_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"expected package.*pycocotools"):
        patch("pycoco")
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    for _ in range(2):
        with pytest.raises(ImportError):
            patch("faster_coco_eval")
