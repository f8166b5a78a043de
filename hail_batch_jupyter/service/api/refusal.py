"""What the service answers when it does not do what was asked."""

from __future__ import annotations

_LONGEST = 2000
"""Characters of a sentence: what was sent may be quoted in it, and of any length."""


class Refusal(Exception):
    """One sentence for the client, and the HTTP status that goes with it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = " ".join(sentence[: 2 * _LONGEST].split())
        if len(self.sentence) > _LONGEST:
            self.sentence = f"{self.sentence[:_LONGEST]}…"


def not_found(what: str = "not found") -> Refusal:
    """The refusal that does not tell whether there is such a thing."""
    return Refusal(404, what)
