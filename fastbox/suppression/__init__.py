"""One box for one object: non-maximum suppression, hard and soft, and weighted boxes fusion."""
