"""Benchmarks: what fastbox reaches, beside its peers and the floors below which no program can go."""
