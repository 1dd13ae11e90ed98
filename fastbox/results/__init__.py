"""Figures that jobs add up over chunks and fragments."""
