"""Attempts with an image, in containers of docker or podman."""
