"""Every compiled function, and the only room that imports Numba.

Read it as: pack (any format, stride or dtype becomes a tile of corners and areas in the first-level cache), measure
(one box against sixteen), reduce (a matrix, the best, the top, pairs, a histogram). Nothing here checks its arguments.
"""
