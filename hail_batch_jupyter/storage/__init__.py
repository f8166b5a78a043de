"""Bytes at URIs: what reads and writes each kind of place."""
