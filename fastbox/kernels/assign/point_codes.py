"""Numbers that the kernels of points share with their callers; this module imports nothing."""

from __future__ import annotations

# Where a truth's candidates lie. ROUND_CENTRE is inside, and near the centre by its distance.
INSIDE, AT_CENTRE, AT_CENTRE_INSIDE, ROUND_CENTRE, WIDENED = range(5)
CLAMPED_CIOU, MMYOLO_CIOU, YOLOV6_IOU = range(3)  # the overlap that a TAL rule ranks by
PROBABILITIES, LOGITS, PRODUCTS, LOGIT_PRODUCTS = range(4)  # what scores are; a product is with objectness, rooted
PLAIN_AREA, LEGACY_AREA, TORCHVISION_AREA = range(3)  # how FCOS prefers the truth of the least area
