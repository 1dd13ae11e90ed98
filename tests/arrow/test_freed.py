"""Freed memory that is returned to the system."""

from __future__ import annotations

import platform
from typing import Any

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such option")
@pytest.mark.parametrize("returned", [False, True])
def test_freed_arrays_are_returned_to_the_system(python: Any, returned: bool) -> None:
    code = f"""
import re
import numpy as np
from fastbox.arrow.freed import return_freed
def held():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) >> 10
if {returned}:
    return_freed()
np.ones(30 << 17)  # once it is freed, the C library keeps smaller ones
before = held()
arrays = [np.ones(4 << 17) for _ in range(20)]
last = arrays.pop()
arrays.clear()
print(held() - before)
"""
    assert (int(python(code).stdout) < 15) == returned
