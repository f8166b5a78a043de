"""The words of Slurm: of a script, of an answer, and when to ask."""
