"""From the text of a cell to jobs of the current batch."""
