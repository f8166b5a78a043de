"""Speaks the REST API of a batch service."""
