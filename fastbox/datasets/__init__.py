"""Data sets of boxes in the formats that others write, read and converted."""
