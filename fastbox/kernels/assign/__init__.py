"""Kernels that assign anchors to truths."""
