"""The parts of ``fastbox inspect``: the view of a chunk, its problems, its statistics and its fixes."""
