"""Protocols of evaluation, one file each: thresholds, recalls, areas, limits, columns, statistics."""
