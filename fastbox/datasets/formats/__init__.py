"""The file formats of annotations: one module for each, with ``read`` and ``write``, independent of the others."""
