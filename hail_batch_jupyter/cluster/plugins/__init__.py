"""Who runs a job, one package each."""
