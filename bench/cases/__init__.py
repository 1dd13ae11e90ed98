"""The cases that pytest-benchmark times."""
