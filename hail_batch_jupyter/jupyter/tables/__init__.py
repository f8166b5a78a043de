"""DataFrames, tables and pictures of runs."""
