"""Jobs of a machine without a batch manager."""
