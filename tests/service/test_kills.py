"""A service that is killed at random moments while batches are posted and jobs run; `make soak` does it two hundred times."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import wait_until
from tests.service.servers import Server, job

JOBS = 6
_SHORT = 3
_FOR_EACH_MOMENT = 4
_LATEST_S = 0.8


def jobs_of(number: int, ran: Path) -> list[dict[str, Any]]:
    """Some that go at once and some that wait; each notes that it began, and holds its name while it runs."""
    body = "echo {name} >> {ran}; mkdir {ran}.{name}; sleep 0.1; rmdir {ran}.{name}"
    return [job(n, body.format(name=f"{number}-{n}", ran=ran), [n - 3] if n > 3 else []) for n in range(1, JOBS + 1)]


def post_until_taken(server: Server, number: int, ran: Path, taken: dict[int, int]) -> None:
    """As a client does: the same request until it is answered."""
    body = {"bunch": jobs_of(number, ran), "batch": {"billing_project": "local", "token": f"kill-{number}", "n_jobs": JOBS}}
    while number not in taken:
        try:
            reply = server.ask("POST", "/batches/create-fast", body)
            assert reply.status == 200, reply
            taken[number] = int(reply.json["id"])
        except requests.RequestException:  # it was killed before or while it answered
            continue


@pytest.mark.kills
def test_nothing_is_lost_and_nothing_runs_twice_when_the_service_is_killed(own_server: Server, tmp_path: Path, kill_moments: int) -> None:
    moments = _FOR_EACH_MOMENT * kill_moments if "KILL_MOMENTS" in os.environ else _SHORT
    seed = random.SystemRandom().randrange(10**6)
    chance, ran, taken = random.Random(seed), tmp_path / "ran", dict[int, int]()
    for number in range(moments):
        poster = threading.Thread(target=post_until_taken, args=(own_server, number, ran, taken))
        poster.start()
        poster.join(chance.uniform(0, _LATEST_S))
        own_server.kill()
        own_server.start()
        poster.join()

    for batch_id in taken.values():
        wait_until(lambda batch_id=batch_id: own_server.get(f"/batches/{batch_id}")["complete"], story=lambda batch_id=batch_id: own_server.states(batch_id))

    assert [own_server.states(batch_id) for batch_id in taken.values()] == [["Success"] * JOBS] * moments, seed
    assert len(set(taken.values())) == moments, seed
    assert Counter(ran.read_text().split()) == Counter(f"{number}-{n}" for number in range(moments) for n in range(1, JOBS + 1)), seed
