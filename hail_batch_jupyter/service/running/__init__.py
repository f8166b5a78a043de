"""Batches of the service as runs of the engine: what begins when, and what became of it."""
