"""Reduce duplicate boxes to one box: non-maximum suppression, hard and soft, and weighted boxes fusion."""
