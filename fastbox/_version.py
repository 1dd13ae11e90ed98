"""The version of the package, and the version of its JSON and records: each in one place."""

__version__ = "0.1.0"

SCHEMA = 1  # of JSON and of records in footers: grows when a key goes away or changes its meaning
