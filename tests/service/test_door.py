"""A service that others reach by TLS."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest

from hail_batch_jupyter.backends import own_service
from hail_batch_jupyter.backends.service.backend import ServiceBackend
from hail_batch_jupyter.storage.router import forget
from tests.service.test_images import start


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """Files of a certificate for this machine that nobody else signed, and of its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    (tmp_path / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    own = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(own)
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


@pytest.fixture
def data(runs: Path, certificate: tuple[str, str]) -> Iterator[Path]:
    yield runs / "data"
    own_service.stop(runs / "data")
    forget()


def test_a_service_with_a_certificate_is_found_and_used_by_https(data: Path, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate

    address = own_service.start(data, ["--port", "0", "--no-images", "--tls-cert", cert, "--tls-key", key])

    assert address.url.startswith("https://127.0.0.1:")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", cert)
    for name, value in own_service.environment(data, address).items():
        monkeypatch.setenv(name, value)
    backend = ServiceBackend()
    assert backend.remote_tmpdir == f"hbj://{address.user}/tmp"
    backend._fs.write(f"hbj://{address.user}/x", b"by TLS")
    assert backend._fs.read(f"hbj://{address.user}/x") == b"by TLS"
    assert f"export HAIL_DOMAIN={address.place}" in (data / "started.out").read_text()
    backend.close()


def test_files_that_are_no_certificate_are_refused(tmp_path: Path, certificate: tuple[str, str]) -> None:
    cert, key = certificate

    for words, told in [
        (("--tls-cert", cert), "give both"),
        (("--tls-cert", key, "--tls-key", cert), "no certificate and its key"),
        (("--tls-cert", str(tmp_path / "none"), "--tls-key", key), "No such file"),
    ]:
        status, said = start("--no-images", "--data", str(tmp_path / "data"), *words)
        assert (status, said.count("\n"), told in said) == (1, 1, True), said
