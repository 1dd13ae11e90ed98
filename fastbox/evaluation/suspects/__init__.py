"""Annotations that confident detectors disagree with: claims of detections about truths, and votes of models."""
