"""The lines of YOLO's label files: boxes, polygons, keypoints and scores, and lines that only look like these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fastbox._record import dataclass
from fastbox.datasets.listing import first_words, line_error
from fastbox.errors import InputError, advice
from fastbox.storage.pictures import is_image
from fastbox.values.numbers import reads_as_number

__all__ = [
    "Lines",
    "are_turned",
    "begins_with_numbers",
    "is_list_of_images",
    "kind_of_lines",
    "parsed",
    "slanted",
    "wrong_line",
]

# Limits of the points of a polygon, beyond the image: tools clip points at the edge, or a pixel beyond.
LEAST, MOST = -0.5, 1.5
FAR = 4.0  # widths and heights of the image: a box whose centre, or a corner, lies further right and down is in pixels
FLAGS = {0.0, 1.0, 2.0}  # of a keypoint: not labelled, hidden, visible
ROUNDED = 2e-4  # the tolerance for sums of coordinates that were written with few decimals
CORNERS = 8  # the numbers of a box that may be rotated, as four corners


@dataclass(frozen=True)
class Lines:
    """The form of a line: with or without a score at its end, the count of keypoint numbers behind the box, corners."""

    scored: bool
    keypoints: int
    rotated: bool = False

    @property
    def words(self) -> int:
        """Return the number of words in the line of a box."""
        return (1 + CORNERS if self.rotated else 5) + self.scored


def kind_of_lines(files: Iterable[bytes], keypoints: int, rotated: bool = False) -> Lines:
    """Return the form of the lines, with or without a score, by the first lines that consist of numbers."""
    for data in files:
        if begins_with_numbers(data):
            words = len(first_words(data))
            if rotated:
                return Lines(words == 2 + CORNERS, 0, rotated)
            scored = words in (6, 6 + keypoints) if keypoints else words >= 6 and words % 2 == 0
            return Lines(scored, keypoints)
    return Lines(False, keypoints, rotated)


def begins_with_numbers(data: bytes) -> bool:
    """Tell whether the first line of a text is five or more numbers, as in a label."""
    first = first_words(data)
    return len(first) >= 5 and all(map(reads_as_number, first))


def is_list_of_images(data: bytes) -> bool:
    """Tell whether a text file lists images, one path a line, like ``train.txt``.

    >>> is_list_of_images(b"data/a.jpg\\ndata/b c.PNG\\n"), is_list_of_images(b"0 0.5 0.5 1 1\\n")
    (True, False)
    """
    lines = [line.decode(errors="replace").strip() for line in data.splitlines() if line.strip()]
    return bool(lines) and all(map(is_image, lines))


def parsed(data: bytes, kind: Lines) -> list[float]:
    """Return class, box and score of every line, in one list.

    Raises
    ------
    ValueError
        A line can't be used; a Lookalike if its content is recognized.
    """
    if b"_" in data:  # Python takes 1_0 for a number
        raise ValueError
    lines = [line for line in map(bytes.split, data.splitlines()) if line]
    words = kind.words
    if any(len(line) != words for line in lines):
        if kind.rotated:
            raise ValueError
        read = [list(map(float, line)) for line in lines]
        longer = [line for line in read if len(line) > words]
        if not kind.keypoints and longer and all(map(_is_keypoints, longer)):
            raise Lookalike(f"the line looks like keypoints: {_shape(len(longer[0]))}")
        numbers = [number for line in read for number in _box(line, kind)]
    else:
        numbers = [float(word) for line in lines for word in line]
    if not all(number.is_integer() and 0 <= number < 2**31 for number in numbers[::words]):
        raise ValueError
    for first in range(1, 1 + CORNERS, 2) if kind.rotated else (1,):
        across, down = numbers[first::words], numbers[first + 1 :: words]
        if any(map(FAR.__lt__, across)) and any(x > FAR and y > FAR for x, y in zip(across, down, strict=True)):
            raise Lookalike("its box is in pixels: divide it by the image's width and height")
    if kind.scored and not all(0 <= score <= 1 for score in numbers[words - 1 :: words]):
        raise Lookalike("its last number is not a score from 0 to 1: remove the number if it is a track id")
    return numbers


def wrong_line(path: str, data: bytes, kind: Lines) -> InputError:
    """Return the error for a file that :func:`parsed` refuses."""
    longer = (
        "class and corners"
        if kind.rotated
        else f"or {kind.words + kind.keypoints} with keypoints"
        if kind.keypoints
        else "or a class and a polygon"
    )
    expected = f"{kind.words} numbers, the first a whole one, {longer}"
    hints: list[InputError] = []
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            parsed(line, kind)
        except ValueError as error:
            known = isinstance(error, Lookalike)
            todo = str(error) if known else "fix the line, or move the file away if it holds no labels"
            hints.append(line_error(expected, path, number, str(len(line.split())), line, todo))
            if not known:
                return hints[-1]
    return hints[0]


def _box(line: list[float], kind: Lines) -> list[float]:
    """Return class, box and score of a line that may be longer."""
    end = line[-1:] if kind.scored else []
    rest = len(line) - 5 - len(end)
    if rest == 0:
        return line
    if kind.keypoints and rest == kind.keypoints:
        return [*line[:5], *end]
    if kind.keypoints or rest < 2 or rest % 2:
        raise ValueError
    points = line[1 : len(line) - len(end)]
    if not all(LEAST <= point <= MOST for point in points):
        track = "remove the last number if it is a track id; " if rest == 2 and line[-1].is_integer() else ""
        pixels = "; if these are pixels, divide them by the image's width and height" if max(points) > FAR else ""
        raise Lookalike(
            f"no polygon lies so far outside of its image; {track}if these are keypoints, {_shape(len(line))}{pixels}"
        )
    xs, ys = points[::2], points[1::2]
    if len(points) == CORNERS and _is_turned(xs, ys):
        raise Lookalike(
            f"the line looks like a rotated box (OBB): name the format, "
            f"{advice('--from yolo-obb', 'source_format=' + repr('yolo-obb'))}"
        )
    (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in (xs, ys))
    return [line[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top, *end]


def _is_keypoints(line: list[float]) -> bool:
    """Tell whether the numbers behind the first five are x, y and a flag of points inside the box of the first five."""
    points = line[5:]
    if len(points) % 3 or not FLAGS.issuperset(points[2::3]):
        return False
    x, y, width, height = line[1:5]
    if not (points and width > 0 and height > 0):
        return False
    return all(
        (flag == 0 and across == down == 0) or (abs(across - x) <= 0.51 * width and abs(down - y) <= 0.51 * height)
        for across, down, flag in zip(points[::3], points[1::3], points[2::3], strict=True)
    )


def _is_turned(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Tell whether four corners make a parallelogram with an area whose sides do not run along the axes."""
    opposite = all(abs(axis[0] + axis[2] - axis[1] - axis[3]) <= ROUNDED for axis in (xs, ys))
    (across, down), (over, under) = ((axis[1] - axis[0], axis[3] - axis[0]) for axis in (xs, ys))
    area = abs(across * under - down * over)
    straight = all(abs(a) <= ROUNDED or abs(b) <= ROUNDED for a, b in ((across, over), (down, under)))
    return opposite and not straight and area > ROUNDED**2


def are_turned(data: bytes, said: bool = False) -> bool:
    """Tell whether all whole lines of a text are a class and four corners, some of a turned box unless that is said.

    >>> are_turned(b"0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5\\n"), are_turned(b"0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\\n")
    (True, False)
    """
    whole = data if data.endswith(b"\n") or b"\n" not in data else data[: data.rindex(b"\n")]
    lines = [line.split() for line in whole.splitlines() if line.strip()]
    if not all(len(line) in (1 + CORNERS, 2 + CORNERS) and all(map(reads_as_number, line)) for line in lines):
        return False
    corners = [[float(word) for word in line[1 : 1 + CORNERS]] for line in lines]
    return said or any(_is_turned(points[::2], points[1::2]) for points in corners)


def slanted(data: bytes, kind: Lines) -> int | None:
    """Return the number of polygons that are not the corners of an upright box; None if one has not four points.

    >>> slanted(b"0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.6\\n0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\\n", Lines(False, 0))
    1
    """
    lines = [line for line in map(bytes.split, data.splitlines()) if line]
    if any(len(line) != kind.words - 4 + CORNERS for line in lines):
        return None
    corners = [list(map(float, line[1 : 1 + CORNERS])) for line in lines]
    return sum(_lies_within(points[::2]) or _lies_within(points[1::2]) for points in corners)


def _lies_within(axis: Sequence[float]) -> bool:
    """Tell whether a coordinate lies between the least and the greatest, and is none of them."""
    return any(min(axis) + ROUNDED < place < max(axis) - ROUNDED for place in axis)


def _shape(words: int) -> str:
    """Return the advice for lines of this many words that have keypoints."""
    shapes = [f"[{(words - 5) // size}, {size}]" for size in (3, 2) if (words - 5) % size == 0]
    return f"write kpt_shape: {' or '.join(shapes) or '[number, 3]'} in data.yaml"


class Lookalike(ValueError):  # noqa: N818  # part of an InputError, whose sentence it ends
    """The error for numbers of a known other kind, with that kind and the remedy."""
