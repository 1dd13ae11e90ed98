"""Every figure of every command and function, kept by name, to be compared between two versions of the code."""
