"""A real Jupyter server on loopback, with this project's routes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import free_port, wait_until
from tests.requirements import ROOT

TOKEN = "token-of-this-test"
STARTS_IN_S = 240
"""It loads all that is installed, which took a busy machine two minutes."""


class Server:
    """A Jupyter server without kernels; only what is asked of it starts one. `root` is the folder of its notebooks."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.url = f"http://127.0.0.1:{free_port()}/base/"
        port = self.url.split(":")[2].split("/")[0]
        options = {"port": port, "base_url": "/base/", "root_dir": str(folder), "open_browser": "False", "allow_root": "True", "port_retries": "0"}
        words = [f"--ServerApp.{name}={value}" for name, value in options.items()]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(folder), "JUPYTER_RUNTIME_DIR": str(folder)}
        words += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.jpserver_extensions=hail_batch_jupyter=True"]
        command = [sys.executable, "-m", "jupyter_server", *words]
        self.log = open(folder / "server.log", "wb")
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self.log, stderr=self.log)

    def ask(self, path: str, method: str = "POST", token: str | None = TOKEN, body: object = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer."""
        headers = {"Authorization": f"token {token}"} if token else {}
        data = json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
        request = urllib.request.Request(self.url + path, method=method, headers=headers, data=data)
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
                return error.code, json.loads(text) if text.startswith(b"{") else {}

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return self.ask("api", "GET")[0] == 200
        except OSError:
            return False

    def wait(self) -> Server:
        """It, when it answers."""
        wait_until(self.answers, STARTS_IN_S, (self.root / "server.log").read_text)
        return self

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(90)
        self.log.close()
