from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.client import calls
from hail_batch_jupyter.client.transport import Transport
from hail_batch_jupyter.errors import NotAuthenticatedError, ServiceError
from tests.conftest import free_port, wait_until
from tests.recorder import Recorder


@pytest.fixture
def transport(service: Recorder) -> Iterator[Transport]:
    made = Transport(service.url, lambda: {"Authorization": f"Bearer {service.token}"}, first_delay_s=0.001)
    yield made
    made.close()


@pytest.mark.parametrize("trouble", [(408, ""), (429, ""), (500, "x"), (502, ""), (503, "frozen"), (504, ""), (403, "rateLimitExceeded")])
def test_a_service_in_trouble_is_asked_again(service: Recorder, transport: Transport, trouble: tuple[int, str], caplog: pytest.LogCaptureFixture) -> None:
    service.trouble = [trouble] * 3

    with caplog.at_level(logging.WARNING):
        assert transport.send(calls.default_region()) == b"us-central1"
    assert len(service.requests) == 4
    assert [record.args for record in caplog.records] == [("GET", "/api/v1alpha/default_region", f"status {trouble[0]}", 2)]


def test_a_post_is_repeated_word_for_word(service: Recorder, transport: Transport) -> None:
    service.trouble = [(503, "")]

    transport.send(calls.create(b'{"billing_project":"p","n_jobs":0,"n_job_groups":0,"token":"t"}'))

    assert [(request.short, request.json["token"], request.headers["Content-Type"]) for request in service.requests] == [
        ("POST batches/create", "t", "application/json")
    ] * 2


def test_a_refusal_is_told_in_the_services_words_and_not_repeated(service: Recorder, transport: Transport) -> None:
    service.trouble = [(400, "400: regions must not be an empty array")]

    with pytest.raises(ServiceError, match=r"refused GET /api/v1alpha/batches/7: 400: regions must not be an empty array$") as caught:
        transport.send(calls.get_batch(7))
    error = caught.value
    assert (error.status, error.method, error.path, error.body) == (400, "GET", "/api/v1alpha/batches/7", "400: regions must not be an empty array")
    assert len(service.requests) == 1


def test_an_unknown_token_says_how_to_log_in(service: Recorder) -> None:
    transport = Transport(service.url, lambda: {"Authorization": "Bearer other"})

    with pytest.raises(NotAuthenticatedError, match="Not authenticated with Hail Batch: .* log in again"):
        transport.send(calls.supported_regions())
    transport.close()


def test_a_service_that_never_answered_is_given_up() -> None:
    transport = Transport(f"http://127.0.0.1:{free_port()}", dict, first_delay_s=0.001)

    with pytest.raises(ServiceError, match=r"cannot be reached \(ConnectionError\); check the network and the setting 'domain'"):
        transport.send(calls.default_region())
    transport.close()


def test_a_status_500_is_final_where_the_environment_says_so(service: Recorder, transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_DONT_RETRY_500", "1")
    service.trouble = [(500, "broken")]

    with pytest.raises(ServiceError, match="500: broken"):
        transport.send(calls.default_region())


def test_waiting_for_a_service_ends_when_it_is_told_to(service: Recorder, transport: Transport) -> None:
    service.trouble = [(503, "")] * 1000
    stop, caught = threading.Event(), list[Exception]()

    def work() -> None:
        try:
            transport.send(calls.default_region(), stop)
        except ServiceError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(service.requests) > 2)
    stop.set()
    thread.join(90)

    assert "was given up (status 503)" in str(caught[0])


def test_a_deprecated_answer_is_a_warning(service: Recorder, transport: Transport) -> None:
    service.headers = {"X-Hail-Deprecated": "use the other one"}

    with pytest.warns(UserWarning, match="DEPRECATED: use the other one"):
        transport.send(calls.default_region())


def test_another_address_is_no_answer(service: Recorder, transport: Transport) -> None:
    service.trouble = [(302, "")]

    with pytest.raises(ServiceError, match="answered with another address; check the setting 'domain'"):
        transport.send(calls.default_region())


def test_a_password_of_the_netrc_file_does_not_take_the_tokens_place(
    service: Recorder, transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    transport.send(calls.default_region())

    assert service.requests[0].headers["Authorization"] == "Bearer a-token"
