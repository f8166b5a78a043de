"""Decides what may run and records what happened; the same engine whatever executes."""
