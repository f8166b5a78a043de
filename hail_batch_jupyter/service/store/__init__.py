"""What the service remembers: users, billing projects, batches, updates, jobs and their runs; the only SQL.

States of jobs are not here but in the journals of their runs.
"""
