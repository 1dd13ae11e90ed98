"""The file formats of annotations: a module each, with ``read`` and ``write``, that knows nothing of the others."""
