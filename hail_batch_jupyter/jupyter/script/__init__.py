"""A batch of a notebook as a plain Python script that describes and runs it again."""
