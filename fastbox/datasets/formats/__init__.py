"""How others write boxes down: one module per dialect, each with ``read`` and ``write``, and nothing about another."""
