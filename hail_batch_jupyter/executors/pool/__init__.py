"""Warm processes that make the calls of an executor: on this machine, or on the nodes of a cluster."""
