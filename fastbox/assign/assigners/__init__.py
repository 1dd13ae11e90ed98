"""The assigners of anchors: one file for each, which declares its ``ASSIGNER``."""
