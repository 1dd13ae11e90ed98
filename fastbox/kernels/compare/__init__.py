"""Kernels that compare two collections: dense, through an index, and row by row."""
