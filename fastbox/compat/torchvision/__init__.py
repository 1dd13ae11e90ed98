"""The functions of :mod:`torchvision` for boxes, by their names: ``from fastbox.compat.torchvision import ops``."""

from fastbox.compat.torchvision import ops

__all__ = ["ops"]
