"""The exception raised for unusable input, and the warning about input that is used in part."""

from __future__ import annotations

__all__ = ["FormatWarning", "InputError", "InputWarning"]


class InputError(ValueError):
    """A file, a column or a row can't be used; the message is one sentence that says what, where and how to mend it."""


class InputWarning(UserWarning):
    """Something that was given is used in part, or is likely not what was meant; one sentence, as an InputError's."""


class FormatWarning(InputWarning):
    """Most boxes of a collection are inverted in the format they were given in, and would be valid in another."""
