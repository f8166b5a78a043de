from __future__ import annotations

from hail_batch_jupyter.executors.slurm.nodes import Nodes
from hail_batch_jupyter.observe.slurm_jobs import Word


def ended(code: int, node: str, failure: str = "", seconds: int = 1) -> Word:
    return Word(code, False, 0, 1000, 1000 + seconds * 1000, node=node, failure=failure)


def test_a_node_where_jobs_cannot_start_is_kept_away_from() -> None:
    nodes = Nodes()

    assert [nodes.note(number, word) for number, word in enumerate((ended(0, "n1"), ended(126, "n2", "no disk"), ended(126, "n2", "no disk")))] == [0, 0, 1]
    assert nodes.in_words() == ", not on n2, where 2 jobs failed at their start"


def test_a_node_where_jobs_failed_that_went_well_elsewhere_is_kept_away_from() -> None:
    nodes = Nodes()
    for job_id in (1, 2):
        assert not nodes.note(job_id, ended(1, "n2"))

    assert [nodes.note(job_id, ended(0, "n1")) for job_id in (1, 2)] == [False, True]


def test_a_job_that_fails_everywhere_is_not_the_fault_of_a_node() -> None:
    nodes = Nodes()
    for number in range(40):
        assert not nodes.note(number, ended(3, f"n{number % 4}"))
        assert not nodes.note(100 + number, ended(0, f"n{number % 4}"))

    assert nodes.in_words() == ""


def test_where_nothing_goes_well_no_node_is_better() -> None:
    nodes = Nodes()

    assert not any(nodes.note(number, ended(126, f"n{number % 2}", "no disk")) for number in range(8))


def test_a_node_that_does_well_again_is_forgiven() -> None:
    nodes = Nodes()
    words = [ended(0, "n1"), ended(126, "n2", "no disk"), ended(0, "n2"), ended(126, "n2", "no disk"), ended(1, "n2", seconds=60)]

    assert not any(nodes.note(number, word) for number, word in enumerate(words))
