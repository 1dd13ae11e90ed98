"""Pictures behind the boxes of a page's examples: found in a folder, cut to the view, and embedded."""

from __future__ import annotations

import base64
import importlib
import io
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from fastbox.errors import InputError, InputWarning, warn
from fastbox.report.numbers import counted
from fastbox.report.page.contents import Examples, Page, Section
from fastbox.report.page.example import Example, Picture
from fastbox.storage.pictures import PictureFolder

__all__ = ["MOST", "Named", "check_pictures", "illustrated"]

MOST = 4_000_000  # bytes of all pictures of a page
SIDES = (400, 280, 200, 120)  # pixels of a view, up to 240 wide on a page; the first whose picture has its share
QUALITY = 75  # of JPEG
WIDER, LEAST = 1.3, 64.0  # a picture is shown with more of what surrounds the boxes, at least these pixels
ALIKE = 0.02  # difference of proportions with which a listed size is that of the picture
ORIENTATION, SIDEWAYS = 274, (5, 6, 7, 8)  # the tag of Exif, and its values for a rotation by 90 or 270 degrees
NAMED = 3  # images that a sentence names

# The names and sizes of files of images, None where unknown, by the ids of the images.
Named: TypeAlias = Callable[[Collection[str]], Mapping[str, tuple[str | None, tuple[int, int] | None]]]
Place: TypeAlias = tuple[int, int, int]  # of an example: its section, part and number


def check_pictures(folder: str | os.PathLike[str]) -> None:
    """Refuse a folder of pictures that can't be shown.

    Raises
    ------
    InputError
        There is no such folder, or Pillow is not installed.
    """
    PictureFolder(folder)
    try:
        importlib.import_module("PIL.Image")
    except ImportError:
        raise InputError("expected Pillow to read pictures, got none: pip install 'fastbox-engine[formats]'") from None


def illustrated(page: Page, folder: str | os.PathLike[str], named: Named | None = None) -> Page:
    """Return a page with pictures behind its examples, and sentences on those that have none.

    Parameters
    ----------
    page : Page
    folder : path
        It is searched by the name of an image's file if that is known, then by the image's id.
    named : callable, optional
        Returns the names and the sizes of files.
    """
    known = {
        (section, part, number): example
        for section, part, found in _parts(page)
        for number, example in enumerate(found.examples)
    }
    shown, reasons = _shown(known, PictureFolder(folder), named)
    if reasons:
        warn(InputWarning(f"{_left_out(reasons, len(known))}: check the pictures in {os.fspath(folder)}"))
    sections = []
    for place, section in enumerate(page.sections):
        parts = list(section.parts)
        own = {key: reason for key, reason in reasons.items() if key[0] == place}
        for where, found in enumerate(parts):
            if isinstance(found, Examples):
                examples = [shown.get((place, where, k), example) for k, example in enumerate(found.examples)]
                parts[where] = replace(found, examples=examples)
        many = sum(key[0] == place for key in known)
        text = f"{section.text} {_left_out(own, many)}." if own else section.text
        sections.append(Section(section.title, text.strip(), parts))
    return replace(page, sections=sections)


def _parts(page: Page) -> Iterator[tuple[int, int, Examples]]:
    for place, section in enumerate(page.sections):
        for where, part in enumerate(section.parts):
            if isinstance(part, Examples):
                yield place, where, part


def _shown(
    known: Mapping[Place, Example], folder: PictureFolder, named: Named | None
) -> tuple[dict[Place, Example], dict[Place, tuple[str, str]]]:
    """Return the examples with pictures, and for the others what is wrong and with what; each file is opened once."""
    images = sorted({example.image for example in known.values() if example.image is not None})
    names = {} if named is None else named(images)
    reasons: dict[Place, tuple[str, str]] = {}
    by_file: dict[str, list[Place]] = {}
    for place, example in known.items():
        image = example.image
        name, _ = names.get(image, (None, None)) if image is not None else (None, None)
        file = folder.find(name, image)
        if image is None:
            reasons[place] = ("no ids of images", "ask for pictures in the call of the job")
        elif file is None:
            reasons[place] = ("not found", f"image {image}")
        else:
            by_file.setdefault(file, []).append(place)
    shown: dict[Place, Example] = {}
    most = MOST // max(len(known), 1)
    for file, places in by_file.items():
        sizes = [names.get(str(known[place].image), (None, None))[1] for place in places]
        try:
            views = _views(file, [known[place] for place in places], sizes, most)
        except Exception:  # Pillow raises errors of many kinds for damaged files
            reasons |= dict.fromkeys(places, ("not readable", os.path.relpath(file, folder.path)))
            continue
        for place, view in zip(places, views, strict=True):
            if isinstance(view, str):
                reasons[place] = (view, os.path.relpath(file, folder.path))
            else:
                shown[place] = view
    return shown, dict(sorted(reasons.items()))


def _left_out(reasons: Mapping[Place, tuple[str, str]], many: int) -> str:
    """Return the sentence on the examples without a picture.

    >>> _left_out({(0, 0, 0): ("not found", "image 7"), (0, 0, 1): ("not readable", "8.png")}, 5)
    '2 of 5 examples have no picture (not found: image 7; not readable: 8.png)'
    """
    said = []
    for what in dict.fromkeys(what for what, _ in reasons.values()):
        found = Counter(which for why, which in reasons.values() if why == what)
        some = ", ".join(list(found)[:NAMED])
        said.append(f"{what}: {some}{f' and {len(found) - NAMED} more' if len(found) > NAMED else ''}")
    return f"{len(reasons):,} of {counted(many, 'examples')} have no picture ({'; '.join(said)})"


def _views(file: str, examples: list[Example], sizes: list[tuple[int, int] | None], most: int) -> list[Example | str]:
    """Return examples with the parts of a picture that they show, or what is wrong instead."""
    from PIL import Image

    with warnings.catch_warnings(), Image.open(file) as opened:
        warnings.simplefilter("ignore")  # of large pictures and odd metadata
        opened.load()
        return [_view(opened, example, listed, most) for example, listed in zip(examples, sizes, strict=True)]


def _view(opened: Any, example: Example, listed: tuple[int, int] | None, most: int) -> Example | str:
    expected = example.size or listed
    picture = _turned(opened, expected)
    width, height = picture.size
    wide, high = example.size or (width, height)
    if example.size is None and listed and abs(listed[0] / listed[1] * height / width - 1) < ALIKE:
        wide, high = listed
    side = example.view[2]
    wider = replace(example, side=max(side, min(max(WIDER * side, LEAST), 1.05 * max(wide, high))))
    x, y, side, _ = wider.view
    across, down = width / wide, height / high
    left, top = max(0, math.floor(x * across)), max(0, math.floor(y * down))
    right, bottom = min(width, math.ceil((x + side) * across)), min(height, math.ceil((y + side) * down))
    if left >= right or top >= bottom:
        return "smaller than its boxes say"
    uri = _encoded(picture, (left, top, right, bottom), side * max(across, down), most)
    if uri is None:
        return f"beyond {MOST // 1000:,} kB in all"
    corners = left / across, top / down, right / across, bottom / down
    return replace(wider, picture=Picture(uri, wider.place(corners)))


def _turned(opened: Any, expected: tuple[float, float] | None) -> Any:
    """Return a picture turned as its Exif says, unless it has the shape of its image only without that."""
    from PIL import ImageOps

    turn = opened.getexif().get(ORIENTATION, 1)
    shape = opened.width > opened.height
    if turn == 1 or (turn in SIDEWAYS and expected is not None and (expected[0] > expected[1]) == shape):
        return opened
    return ImageOps.exif_transpose(opened)


def _encoded(picture: Any, part: tuple[int, int, int, int], side: float, most: int) -> str | None:
    """Return a part of a picture as a data URI of at most some bytes; ``side`` is that of the whole view in pixels."""
    from PIL import Image

    left, top, right, bottom = part
    cut = _in_colours(picture.crop(part))
    for longest in SIDES:
        scale = min(1.0, longest / side)
        size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
        stream = io.BytesIO()
        small = cut if size == cut.size else cut.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
        small.save(stream, "JPEG", quality=QUALITY, optimize=True)
        uri = f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
        if len(uri) <= most:
            return uri
    return None


def _in_colours(cut: Any) -> Any:
    """Return a part of a picture in RGB; grey of more than 8 bits is stretched to its darkest and lightest pixels."""
    if cut.mode == "F" or cut.mode.startswith("I"):
        low, high = cut.getextrema()
        scale = 255 / max(high - low, 1e-9)
        cut = cut.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    return cut.convert("RGB")
