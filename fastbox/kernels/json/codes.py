"""Numbers that the callers of the kernels and the kernels share: fields, reasons, and places in the state."""

from __future__ import annotations

# The forms of a field: what its value must be, and where it goes. A size is a whole number that int32 holds, from 0 on;
# a flag is a whole number or a truth value; a box is a list of four numbers.
WHOLE, SIZE, FLAG, REAL, BOX, TEXT = range(6)

# The places in a row of the table of fields, behind the length of the name, the form and the column: the field that
# came next in the element before, and the name.
FOLLOWER, NAME = 3, 4

# The state of the kernels: the place of the next value, the place from which on no element begins, the end of the
# bytes, and the fields that no element lacks (a bit for each); then the counts of rows and of numbers left to the
# caller, the reason for the return, whether the bytes "ignore" with quotes were seen outside of the wanted fields, and
# from FILLED on the bytes of each column of texts.
AT, LIMIT, END, REQUIRED, ROWS, LEFT, REASON, HINT, FILLED = range(9)

# The reasons: the limit is reached or the value is skipped, the list is closed, the bytes end within an element, an
# element is invalid or unusual, or the columns are full. The place is then that of the next value.
LIMITED, CLOSED, SHORT, ODD, FULL = range(5)
