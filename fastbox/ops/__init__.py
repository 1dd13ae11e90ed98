"""Comparisons of two sets of boxes: matrix, best, top, pairs and histogram."""
