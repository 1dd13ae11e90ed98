"""Values as callers give them: arguments, numbers, labels, flags, groups, and the usual names of columns."""
