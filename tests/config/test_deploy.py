from __future__ import annotations

import json
from pathlib import Path

import pytest

from hail_batch_jupyter.config.deploy import Deployment, deployment, stored_token
from hail_batch_jupyter.errors import ConfigError, NotAuthenticatedError

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize(
    ("made", "base", "page"),
    [
        pytest.param(Deployment(), "https://batch.hail.is", "https://batch.hail.is", id="default"),
        pytest.param(Deployment(namespace="ada"), "https://internal.hail.is/ns/batch", "https://internal.hail.is/ada/batch", id="namespace"),
        pytest.param(Deployment(domain="lab.org", base_path="/pre"), "https://lab.org/pre/batch", "https://lab.org/pre/batch", id="prefix"),
        pytest.param(Deployment("gce"), "http://batch.hail", "https://batch.hail.is", id="gce"),
        pytest.param(Deployment("gce", "ada"), "http://internal.hail/ada/batch", "https://internal.hail.is/ada/batch", id="gce namespace"),
        pytest.param(Deployment("k8s", "ada"), "https://batch.ada", "https://internal.hail.is/ada/batch", id="k8s"),
        pytest.param(Deployment("gce", domain="127.0.0.1:5", terra=True), "http://127.0.0.1:5", "http://127.0.0.1:5", id="plain http"),
        pytest.param(
            Deployment("gce", domain="127.0.0.1:5", base_path="/pre", terra=True), "http://127.0.0.1:5/pre/batch", "http://127.0.0.1:5/pre/batch", id="both"
        ),
    ],
)
def test_the_address_of_the_service(made: Deployment, base: str, page: str) -> None:
    assert (made.base_url(), made.page_url()) == (base, page)


def test_without_a_file_the_domain_comes_from_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert deployment() == Deployment()
    (folder / "config.ini").write_text("[global]\ndomain = lab.org\n")
    assert deployment().domain == "lab.org"
    monkeypatch.setenv("HAIL_DOMAIN", "other.org")
    assert deployment().domain == "other.org"
    monkeypatch.setenv("HAIL_DEFAULT_NAMESPACE", "ada")
    assert deployment().domain == "lab.org"
    monkeypatch.setenv("HAIL_BASE_PATH", "/pre")
    assert deployment() == Deployment("external", "ada", "other.org", "/pre")


def test_a_deploy_file_is_asked_before_the_settings(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "config.ini").write_text("[global]\ndomain = lab.org\n")
    path = tmp_path / "deploy.json"
    path.write_text(json.dumps({"location": "gce", "default_namespace": "ada", "domain": "file.org"}))
    monkeypatch.setenv("HAIL_DEPLOY_CONFIG_FILE", str(path))

    assert deployment() == Deployment("gce", "ada", "file.org")
    monkeypatch.setenv("HAIL_LOCATION", "external")
    assert deployment().location == "external"


def test_a_location_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAIL_LOCATION", "moon")

    with pytest.raises(ConfigError, match="'moon' .* use one of external, k8s, gce"):
        deployment()


def test_the_token_of_the_namespace_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / ".hail"
    home.mkdir(parents=True)
    (home / "tokens.json").write_text(json.dumps({"default": "at-home\n"}))
    (tmp_path / "tokens.json").write_text(json.dumps({"default": "named"}))

    assert stored_token("default") == "at-home"
    monkeypatch.setenv("HAIL_TOKENS_FILE", str(tmp_path / "tokens.json"))
    assert stored_token("default") == "named"
    with pytest.raises(NotAuthenticatedError, match="has no token of namespace 'ada'; log in"):
        stored_token("ada")


def test_without_any_token_it_says_how_to_get_one() -> None:
    with pytest.raises(NotAuthenticatedError, match="Not authenticated with Hail Batch: there is no file .*; log in"):
        stored_token("default")


def test_a_broken_file_is_named_and_its_content_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tokens.json"
    path.write_text('{"default": "sec')
    monkeypatch.setenv("HAIL_TOKENS_FILE", str(path))

    with pytest.raises(ConfigError, match=r"tokens.json' cannot be read as JSON") as caught:
        stored_token("default")
    assert "sec" not in str(caught.value)
