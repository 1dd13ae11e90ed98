"""The usual names of columns of boxes, image ids, classes and scores, in any case, with underscores or without."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache

from fastbox._record import NamedTuple
from fastbox.errors import InputError, advice

__all__ = [
    "BOX",
    "BOXES",
    "BOX_FORMAT",
    "CLASS",
    "IMAGE",
    "SCORE",
    "BoxArgument",
    "Usual",
    "advice_on",
    "are_exact",
    "box_columns",
    "column_of",
    "is_wanted",
    "one_box_column",
]

Names = tuple[str, ...]


class Usual(str):
    """The default name of a column: in a table without this name, the column may have another usual name.

    Attributes
    ----------
    what : str
        The content of the column.
    option, argument : str
        The option on the command line and the argument in Python that name another column.
    others : tuple of tuple of str
        The other usual names in ranks: names of an earlier rank come first.

    Examples
    --------
    >>> IMAGE, IMAGE == "image_id"
    ('image_id', True)
    """

    what: str
    option: str
    argument: str
    others: tuple[Names, ...]

    def __new__(cls, name: str, what: str, option: str, argument: str, others: tuple[Names, ...]) -> Usual:
        made = super().__new__(cls, name)
        made.what, made.option, made.argument, made.others = what, option, argument, others
        return made

    def advice(self, name: str) -> str:
        """Return advice that names the argument or option for another column."""
        python = f"Source(..., image={name!r})" if self.argument == "image" else f"{self.argument}={name!r}"
        return advice(f"{self.option} {shlex.quote(name)}", python)

    @property
    def strictly(self) -> Usual:
        """This default with its first rank of names alone: other columns may have the names of later ranks."""
        return Usual(str(self), self.what, self.option, self.argument, self.others[:1])

    def called(self, name: str) -> Usual:
        """Return the same default by another of its names, which was found in a table."""
        return Usual(name, self.what, self.option, self.argument, self.others)

    def __reduce__(self) -> tuple[object, ...]:
        return Usual, (str(self), self.what, self.option, self.argument, self.others)


BOX_FORMAT = "box_format"  # the key of a schema's metadata with the format of rotated boxes, also behind a prefix
SIZE_COLUMNS = ("width", "height")  # of images

IMAGE = Usual(
    "image_id",
    "image ids",
    "--image-column",
    "image",
    (
        ("image_id", "img_id", "id_image"),
        ("image", "img", "image_name", "img_name", "file_name", "image_file", "image_path", "frame_id"),
    ),
)
CLASS = Usual(
    "category_id",
    "classes",
    "--class-column",
    "class_column",
    (
        ("category_id", "class_id", "label_id", "cat_id", "cls_id"),
        ("class", "category", "label", "cls", "class_label"),
        ("class_name", "category_name", "label_name", "name"),
    ),
)
SCORE = Usual(
    "score",
    "scores",
    "--score-column",
    "score_column",
    (("score", "confidence", "conf", "probability"), ("scores", "prob", "p")),
)

_SIZES: tuple[Names, ...] = (("w", "h"), ("width", "height"))  # width and height may also be those of the image
_CORNERS: tuple[Names, ...] = (
    ("x", "y"),
    ("left", "top"),
    ("l", "t"),
    ("xmin", "ymin"),
    ("minx", "miny"),
    ("x1", "y1"),
    ("x0", "y0"),
    ("xtl", "ytl"),
    ("tlx", "tly"),
    ("x_left", "y_top"),
    ("top_left_x", "top_left_y"),
    ("start_x", "start_y"),
)
_CENTRES: tuple[Names, ...] = (
    ("cx", "cy"),
    ("xc", "yc"),
    ("x_center", "y_center"),
    ("x_centre", "y_centre"),
    ("center_x", "center_y"),
    ("centre_x", "centre_y"),
    ("x_ctr", "y_ctr"),
    ("ctr_x", "ctr_y"),
    ("x_mid", "y_mid"),
)
VIDEOS = ("video", "videoid", "videoname", "sequence", "sequenceid", "seq", "seqid", "clip", "clipid", "sceneid")

# Names with their format. Of exact names the first entry wins; of names in another case only one entry may match.
BOXES: tuple[tuple[Names, str], ...] = (
    (("xmin", "ymin", "xmax", "ymax"), "xyxy"),
    (("x0", "y0", "x1", "y1"), "xyxy"),
    (("x1", "y1", "x2", "y2"), "xyxy"),
    (("left", "top", "right", "bottom"), "xyxy"),
    (("left", "upper", "right", "lower"), "xyxy"),
    (("x_left", "y_top", "x_right", "y_bottom"), "xyxy"),
    (("xtl", "ytl", "xbr", "ybr"), "xyxy"),
    (("tlx", "tly", "brx", "bry"), "xyxy"),
    (("ulx", "uly", "lrx", "lry"), "xyxy"),
    (("top_left_x", "top_left_y", "bottom_right_x", "bottom_right_y"), "xyxy"),
    (("tx", "ty", "bx", "by"), "xyxy"),
    (("minx", "miny", "maxx", "maxy"), "xyxy"),
    (("x_start", "y_start", "x_end", "y_end"), "xyxy"),
    (("start_x", "start_y", "end_x", "end_y"), "xyxy"),
    (("l", "t", "r", "b"), "xyxy"),
    *(
        ((*place, *size), told)
        for size in _SIZES
        for places, told in ((_CORNERS, "xywh"), (_CENTRES, "cxcywh"))
        for place in places
    ),
)
_ONE_BOX = ("bbox", "box", "boxes", "bboxes", "bounding_box", "bounding_boxes", "bndbox")
_BEFORE = ("", "bbox_", "box_", "bb_", "bounding_box_", "bndbox_")  # what may stand before the names of coordinates


def column_of(names: Sequence[str], wanted: str, where: str = "table") -> str | None:
    """Return the column that a name means: the same name, or for a :class:`Usual` another usual name; None without one.

    Raises
    ------
    InputError
        Several columns match.

    Examples
    --------
    >>> column_of(["ImageID", "Confidence"], IMAGE), column_of(["ImageID", "Confidence"], SCORE)
    ('ImageID', 'Confidence')
    >>> column_of(["ImageID"], "image_id") is None
    True
    """
    if wanted in names:
        return str(wanted)
    if not isinstance(wanted, Usual):
        return None
    for rank in wanted.others:
        alike = {_plain(name) for name in rank}
        found = [name for name in names if _plain(name) in alike]
        if len(found) > 1:
            raise InputError(
                f"expected one column of {wanted.what} in {where}, got {' and '.join(map(repr, found))}: "
                f"name one with {wanted.advice(found[0])}"
            )
        if found:
            videos = [name for name in names if _plain(name) in VIDEOS] if _plain(found[0]) == "frameid" else []
            if videos:
                raise InputError(
                    f"expected one column of {wanted.what} in {where}, got {found[0]!r} beside {videos[0]!r}, each of "
                    f"which may have the same frames: write both into one column, or, of one video, name it with "
                    f"{wanted.advice(found[0])}"
                )
            return found[0]
    return None


def is_wanted(wanted: str | None, names: Sequence[str]) -> bool:
    """Tell whether to read an optional column: the table has the column, or its name is not the default.

    >>> is_wanted(CLASS, ["score"]), is_wanted("kind", ["score"])
    (False, True)
    """
    return wanted is not None and (wanted in names or not isinstance(wanted, Usual))


def advice_on(name: str) -> str:
    """Return the end of a message about a missing column: advice for a default name, else an empty text.

    >>> advice_on("score")
    ": name another with score_column='COLUMN'"
    """
    known = next((usual for usual in (IMAGE, CLASS, SCORE) if usual == name), None)
    return "" if known is None else f": name another with {known.advice('COLUMN')}"


class BoxArgument(NamedTuple):
    """The option on the command line and the argument in Python that name the columns of boxes."""

    option: str
    python: str

    def advice(self, columns: str) -> str:
        """Return advice that names the columns of boxes.

        >>> BOX.advice("a,b,c,d")
        "Source(..., boxes='a,b,c,d')"
        """
        return advice(f"{self.option} {shlex.quote(columns)}", self.python.format(repr(columns)))

    @property
    def format_option(self) -> str:
        """The option on the command line that names the format of the boxes.

        >>> BOX.format_option, BoxArgument("--truth-box", "").format_option, BoxArgument("--pred", "").format_option
        ('--format', '--truth-format', '--format')
        """
        return self.option.replace("box", "format") if self.option.endswith("box") else "--format"


BOX = BoxArgument("--box", "Source(..., boxes={})")


def box_columns(
    names: Sequence[str], format: str | None, prefix: str, where: str, argument: BoxArgument = BOX
) -> tuple[Names, str] | None:
    """Return the four columns of coordinates, by usual names in any case, and their format; None without any.

    Raises
    ------
    InputError
        Several sets of four columns match.

    Examples
    --------
    >>> box_columns(["Width", "Left", "Top", "Height"], None, "", "table")
    (('Left', 'Top', 'Width', 'Height'), 'xywh')
    """
    found: dict[Names, str] = {}
    for columns, told in _alike(names, format, prefix, where):
        # In a table with corners and with the first corner, width and height, the latter are not those of the box.
        if all(columns[:2] != other[:2] for other in found):
            found.setdefault(columns, told)
    if len(found) > 1:
        said = [",".join(columns) for columns in found]
        came = " and ".join(said)
        raise InputError(
            f"expected one box in each row of {where}, got {came}: name one with {argument.advice(said[0])}"
        )
    return next(iter(found.items()), None)


def are_exact(names: Sequence[str]) -> bool:
    """Tell whether four columns have exactly the usual names, in the order of their format.

    >>> are_exact(["x", "y", "w", "h"]), are_exact(["X", "Y", "W", "H"])
    (True, False)
    """
    return any(tuple(names) == known for known, _ in BOXES)


def one_box_column(names: Sequence[str], prefix: str) -> list[str]:
    """Return the columns that may hold whole boxes, the likeliest first.

    Examples
    --------
    >>> one_box_column(["id", "BBox"], ""), one_box_column(["pred", "pred_bbox"], "pred_")
    (['BBox'], ['pred_bbox', 'pred'])
    """
    wanted = [*(prefix + name for name in _ONE_BOX), *([prefix.rstrip("_")] if prefix else [])]
    plain: dict[str, list[str]] = {}
    for name in names:
        plain.setdefault(_plain(name), []).append(name)
    exact = [name for name in wanted if name in names]
    return list(dict.fromkeys([*exact, *(name for want in wanted for name in plain.get(_plain(want), []))]))


def _alike(names: Sequence[str], format: str | None, prefix: str, where: str) -> Iterator[tuple[Names, str]]:
    plain: dict[str, list[str]] = {}
    for name in names:
        plain.setdefault(_plain(name), []).append(name)
    asked = None if format is None else format.removeprefix("rel_")
    for before in _BEFORE:
        for known, told in sorted(BOXES, key=lambda entry: entry[1] != asked):
            sides = [plain.get(_plain(prefix + before + name), []) for name in known]
            if not all(sides):
                continue
            for side in sides:
                if len(side) > 1:
                    said = " and ".join(map(repr, side))
                    raise InputError(f"expected one column of each coordinate in {where}, got {said}: rename one")
            yield tuple(side[0] for side in sides), told


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-]", "", name).casefold()
