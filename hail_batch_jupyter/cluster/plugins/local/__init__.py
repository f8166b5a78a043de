"""Jobs of this machine."""
