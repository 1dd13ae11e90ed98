"""Frames of polars and pandas compared by their accessor, ``frame.fastbox``."""
