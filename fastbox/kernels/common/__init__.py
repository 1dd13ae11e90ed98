"""Kernels that several rooms call: sorting, sums, sketches, anchor shapes."""
