"""Ways to reach a machine, one module each."""
