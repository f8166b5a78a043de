"""The live widgets: what they are told of a run, and what they ask for."""
