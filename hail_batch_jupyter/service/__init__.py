"""A batch service of one's own: the Batch Service's REST API over runs of the one engine on this machine."""
