"""Kernels of suppression and fusion."""
