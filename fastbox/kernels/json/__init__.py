"""Kernels that read JSON: values are checked and skipped, and the elements of a list become columns."""
