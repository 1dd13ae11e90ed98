"""Files and folders, local or in an object store: found, opened once, written complete or not at all."""
