"""Backends: each runs a BatchSpec and gives a RunningBatch."""
