"""Arrow columns as NumPy arrays, and back."""
