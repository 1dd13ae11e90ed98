"""Kernels of evaluation: matching detections to truths as COCO does."""
