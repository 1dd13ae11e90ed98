"""Promises of fastbox, each held against what is measured."""
