"""One handle on a run, whatever runs it: folds its events, knows nothing of who shows them."""
