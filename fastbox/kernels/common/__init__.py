"""What kernels of several rooms call: sorting, sums, sketches, anchor shapes."""
