"""The public names as a notebook shows them: what ``dir`` lists, and signatures without quotes."""

from __future__ import annotations

import inspect
import pydoc
import typing
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, ForwardRef

import pytest

import fastbox
import fastbox.losses

MODULES = (fastbox, fastbox.jobs, fastbox.fragments, fastbox.losses)


def functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function, class and method of a public class, by its full name; exceptions aside."""
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) and issubclass(thing, BaseException):
                continue  # the constructor and the methods are Python's own
            if inspect.isfunction(thing) or inspect.isclass(thing):
                yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing) and thing.__module__.startswith("fastbox"):
                for own in (own for own in dir(thing) if not own.startswith("_")):
                    if inspect.isroutine(getattr(thing, own)):
                        yield f"{module.__name__}.{name}.{own}", getattr(thing, own)


FUNCTIONS = dict(functions())


def annotations(function: Callable[..., Any]) -> list[str]:
    """Every annotation of a signature, as the signature shows it."""
    signature = inspect.signature(function)
    given = [*(one.annotation for one in signature.parameters.values()), signature.return_annotation]
    return [inspect.formatannotation(one) for one in given if one is not inspect.Signature.empty]


def test_the_public_functions_are_found() -> None:
    assert {"fastbox.nms", "fastbox.Boxes", "fastbox.Boxes.from_columns", "fastbox.jobs.nms"} <= set(FUNCTIONS)
    assert {"fastbox.fragments.spread", "fastbox.losses.giou_loss", "fastbox.Evaluation.stats"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_signature_shows_no_quotes(name: str) -> None:
    assert [shown for shown in annotations(FUNCTIONS[name]) if "'" in shown or "ForwardRef" in shown] == []


def test_a_signature_reads_as_it_is_written() -> None:
    said = "(boxes: Any, scores: Any, *, iou_threshold: float, classes: Any = None) -> NDArray[np.int64]"
    assert str(inspect.signature(fastbox.nms)) == said
    assert str(inspect.signature(fastbox.Best)) == "(values: NDArray[Any], indices: NDArray[np.int64])"
    assert "metric: str = 'iou'" in str(inspect.signature(fastbox.pairs))


def test_annotations_still_name_their_types() -> None:
    assert typing.get_type_hints(fastbox.nms)["iou_threshold"] is float
    assert typing.get_type_hints(fastbox.Boxes.from_columns)["return"] is fastbox.Boxes
    assert ForwardRef(inspect.signature(fastbox.best).parameters["a"].annotation) == ForwardRef("Any")


def test_signatures_of_a_room_that_was_imported_first_show_no_quotes(python: Any) -> None:
    code = "import inspect; from fastbox.losses import giou_loss; print(inspect.signature(giou_loss))"
    assert python(code).stdout.startswith("(pred: Any, target: Any, *, reduction: str = 'mean', ")


def test_signatures_of_the_losses_for_torch_show_no_quotes() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    for name in fastbox.torch.__all__:
        assert [shown for shown in annotations(getattr(fastbox.torch, name)) if "'" in shown] == []


def test_a_fresh_import_lists_public_names_alone(python: Any) -> None:
    listed = set(python("import fastbox; print(*dir(fastbox))").stdout.split())
    assert listed == {*fastbox.__all__, "fragments", "jobs"} | ({"torch"} if find_spec("torch") else set())
    used = python("import fastbox; fastbox.nms([[0, 0, 1, 1]], [1.0], iou_threshold=0.5); print(*dir(fastbox))")
    assert set(used.stdout.split()) == listed


def test_help_and_inspect_read_every_name_that_is_listed() -> None:
    for module in (fastbox, fastbox.jobs, fastbox.fragments):
        assert {name for name, _ in inspect.getmembers(module)} == set(dir(module))
    assert "pairwise(" in pydoc.render_doc(fastbox, renderer=pydoc.plaintext)


def test_a_module_of_an_extra_is_listed_where_the_extra_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for found in (True, False):
        monkeypatch.setattr("fastbox._lazy.find_spec", lambda name, found=found: found or None)
        assert ("torch" in dir(fastbox)) is found


@pytest.mark.parametrize("name", ["fragments", "jobs"])
def test_a_public_module_is_there_after_the_import(python: Any, name: str) -> None:
    said = python(f"import fastbox; print(fastbox.{name}.__name__, *dir(fastbox.{name}))").stdout.split()
    assert said == [f"fastbox.{name}", *sorted(getattr(fastbox, name).__all__)]


def test_the_losses_for_torch_are_there_after_the_import(python: Any) -> None:
    code = "import fastbox\ntry: print(fastbox.torch.__name__)\nexcept ImportError as error: print(error)"
    said = python(code).stdout.strip()
    assert said == "fastbox.torch" or said.startswith("expected torch for fastbox.torch, got none")
