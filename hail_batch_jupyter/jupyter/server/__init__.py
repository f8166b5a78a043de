"""The routes that this package adds to the Jupyter server, for which no kernel is needed."""
