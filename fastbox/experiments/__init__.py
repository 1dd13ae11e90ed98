"""Experiments on boxes: distances against overlap, and descent along the gradients of losses."""
