"""The rules of the service: what is taken, what is refused, what is answered; without a web framework."""
