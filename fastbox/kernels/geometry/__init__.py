"""Formulas on boxes, their gradients, and how boxes of any format and layout are read."""
