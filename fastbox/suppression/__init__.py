"""Duplicate boxes of one object made one box: non-maximum suppression, hard and soft, and weighted boxes fusion."""
