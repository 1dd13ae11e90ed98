"""Boxes, files, peers and floors of the benchmarks."""
