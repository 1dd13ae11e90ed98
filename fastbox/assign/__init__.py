"""Anchors assigned to truths by rules, and one-to-one matches of detections with truths."""
