"""Kernels of evaluation: matching, errors, curves and the bootstrap."""
