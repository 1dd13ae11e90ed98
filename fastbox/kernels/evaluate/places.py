"""The place of a detection beside the truths, a number that the kernels of suspects and their callers share.

A module of its own, as most kernels import :mod:`fastbox.kernels.codes`, and are compiled anew when it changes.
"""

from __future__ import annotations

__all__ = ["ELSEWHERE", "EXPLAINED", "MISSING", "WITHOUT_PART"]

# A detection hits a truth of its class; hits or is near another one; is near no truth; or takes no part.
EXPLAINED, ELSEWHERE, MISSING, WITHOUT_PART = range(4)
