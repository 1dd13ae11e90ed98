"""Kernels of losses and of the box coder."""
