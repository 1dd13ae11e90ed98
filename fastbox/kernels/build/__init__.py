"""The building blocks of kernels: compiled, cached and specialised functions."""
