"""The notebook's part: magics, what is shown of runs, and the routes of the Jupyter server."""
