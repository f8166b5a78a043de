"""The pages of the service: made on the server, complete without JavaScript, kept up to date with it."""
