"""Pages: figures, plots, tables and examples in one HTML file that opens anywhere (the extra ``report``)."""

from fastbox.report.page.contents import (
    Box,
    Column,
    Example,
    Examples,
    Figure,
    Page,
    Part,
    Plot,
    Scale,
    Section,
    Stroke,
    Table,
)
from fastbox.report.page.write import check_page, render, write

__all__ = [
    "Box",
    "Column",
    "Example",
    "Examples",
    "Figure",
    "Page",
    "Part",
    "Plot",
    "Scale",
    "Section",
    "Stroke",
    "Table",
    "check_page",
    "render",
    "write",
]
