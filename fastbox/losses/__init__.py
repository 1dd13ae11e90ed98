"""Regression losses of predicted and target boxes, with gradients in the same pass."""

from fastbox.losses.coordinates import huber_loss, l1_loss, smooth_l1_loss
from fastbox.losses.deltas import Deltas
from fastbox.losses.names import LOSSES
from fastbox.losses.outcome import LossAndGrad
from fastbox.losses.overlap import ciou_loss, diou_loss, eiou_loss, giou_loss, iou_loss
from fastbox.losses.rotated import kld_loss, probiou_loss

__all__ = [
    "LOSSES",
    "Deltas",
    "LossAndGrad",
    "ciou_loss",
    "diou_loss",
    "eiou_loss",
    "giou_loss",
    "huber_loss",
    "iou_loss",
    "kld_loss",
    "l1_loss",
    "probiou_loss",
    "smooth_l1_loss",
]
