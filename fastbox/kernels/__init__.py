"""Every compiled function, and the only room that imports Numba, to compile them.

A kernel packs boxes (any format, stride or dtype becomes a tile of corners and areas in the first-level cache),
measures them (one box against sixteen) and reduces the values (a matrix, the best, the top, pairs, a histogram).
No kernel checks its arguments.

- ``codes``: numbers that kernels share with their callers
- ``metrics``: every metric's record: its formulas, its range and what a kernel may skip
- ``build``: the machine code of kernels, from a library, the cache or the compiler, and its calls; stack
  arrays, transposes, prefetches, non-temporal stores, masks of bytes
- ``geometry``: formulas, their gradients, boxes of extreme size, packing and reading rows
- ``common``: sorting, sums in a fixed order, sketches, anchor shapes
- ``compare``: two collections, dense, through an index, and row by row
- ``assign``: anchors or detections to truths
- ``suppress``: NMS and weighted boxes fusion
- ``loss``: losses with gradients, box deltas, regression
- ``evaluate``: COCO's matching, TIDE's errors, curves, the bootstrap
- ``json``: elements of JSON as columns
- ``registry``: every kernel, listed

A kernel takes at most ten arguments. Arguments that belong together are one plain tuple, as ``(detections, truths,
rule, span, outputs)``; a span is the first and the last of the rows, images or segments to do.
"""
