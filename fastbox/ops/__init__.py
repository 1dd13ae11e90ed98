"""Questions asked of two collections of boxes: matrices, the best, the top, pairs, histograms."""
