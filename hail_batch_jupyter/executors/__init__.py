"""Places to run attempts: they start, watch and stop, and decide nothing."""
