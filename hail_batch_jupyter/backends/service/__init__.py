"""ServiceBackend, and the handle on a batch of a service."""
