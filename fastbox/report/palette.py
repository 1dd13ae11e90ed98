"""Colours with one meaning on every page, plot and picture, on light and on dark background."""

from __future__ import annotations

__all__ = ["ROLES", "SERIES", "css", "light"]

# Colours of data, one for each role: on light background, on dark background.
ROLES = {
    "truth": ("#23805a", "#5fcf9d"),
    "detection": ("#b45309", "#f0a04b"),
    "match": ("#2f6ea8", "#6db3f2"),  # pairs of a detection and a truth, and the values of their metrics
    "anchor": ("#8a3f80", "#d48bc9"),
    "problem": ("#b03a2e", "#f08a7e"),  # errors, and boxes that are wrong
    "box": ("#52606d", "#a9b6c4"),  # boxes of a table that may hold truths or detections
    "ink": ("#1f2933", "#e6e9ee"),
    "faint": ("#5f6c7b", "#9aa7b5"),
    "grid": ("#e2e5ea", "#313943"),
    "card": ("#ffffff", "#1b2027"),
    "paper": ("#fbfaf8", "#14181d"),
    "accent": ("#4b50b8", "#a9adff"),  # what can be clicked
    "s1": ("#1f2933", "#e6e9ee"),  # curves side by side that have no role, such as models and losses
    "s2": ("#0b7285", "#4cc9dc"),
    "s3": ("#c2185b", "#ff7eb0"),
    "s4": ("#7a6408", "#d9bf4a"),
    "s5": ("#7b8794", "#8794a3"),
    "s6": ("#5b3fb0", "#b49dff"),
}
SERIES = ("s1", "s2", "s3", "s4", "s5", "s6")


def light(role: str) -> str:
    """Return the colour of a role on light background, which pictures use."""
    return ROLES[role][0]


def css() -> str:
    """Return all roles as custom properties: light, and dark if the system or the reader requests it."""
    sides = []
    for place, scheme in enumerate(("light", "dark")):
        colours = " ".join(f"--{role}: {pair[place]};" for role, pair in ROLES.items())
        sides.append(f"{colours} color-scheme: {scheme};")
    day, night = sides
    return (
        f":root {{ {day} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {night} }} }}\n'
        f':root[data-theme="dark"] {{ {night} }}\n'
    )
