"""Values and rules: no input or output, no threads, no clock, nothing but the standard library (Python 3.9 or later)."""
