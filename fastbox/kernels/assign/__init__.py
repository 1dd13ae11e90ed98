"""Kernels that assign anchors and detections to truths."""
