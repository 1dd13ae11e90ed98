"""The parts of ``fastbox inspect``: what is seen of a chunk, its problems, its statistics, and how it is mended."""
