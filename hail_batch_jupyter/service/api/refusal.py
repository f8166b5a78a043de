"""What the service answers when it does not do what was asked."""

from __future__ import annotations


class Refusal(Exception):
    """One sentence for the client, and the HTTP status that goes with it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = " ".join(sentence.split())


def not_found(what: str = "not found") -> Refusal:
    """The refusal that does not tell whether there is such a thing."""
    return Refusal(404, what)
