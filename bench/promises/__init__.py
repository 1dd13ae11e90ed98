"""Promises of fastbox, each compared with its measurement."""
