"""A real JupyterLab on loopback with folders of its own; its token and its protection against forged requests stay on."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import RUNS, free_port, wait_until

STARTS_IN_S = 240
ENDS_IN_S = 60
_QUIET = {"fetchNews": "false", "checkForUpdates": False}


class Lab:
    """The server.

    root   folder of its notebooks      runs   folder of the run directories that its kernels make
    service_port, service_data   where its user has a batch service, as soon as a test starts one
    """

    def __init__(self, folder: Path, runs: Path) -> None:
        self.root, self.runs, self.token = folder / "root", runs, secrets.token_hex(16)
        self.root.mkdir(parents=True)
        self.log = folder / "lab.log"
        self.port = free_port()
        self.service_port, self.service_data = free_port(), folder / "service" / "data"
        self.url = f"http://127.0.0.1:{self.port}"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self._command(), env=self._environment(folder), cwd=self.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self) -> None:
        """Return when it answers."""
        wait_until(lambda: self._process.poll() is not None or self._answers(), STARTS_IN_S, self.told)
        assert self._process.poll() is None, self.told()

    def told(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-3000:]

    def page_url(self, notebook: str) -> str:
        """Opens the notebook in a workspace of its own; the token lets the browser in."""
        return f"{self.url}/lab/workspaces/{Path(notebook).stem}/tree/{notebook}?token={self.token}"

    def notebook_url(self, notebook: str) -> str:
        """Opens the notebook in Notebook 7, which the same server serves."""
        return f"{self.url}/notebooks/{notebook}?token={self.token}"

    def ask(self, method: str, path: str) -> Any:
        """The JSON answer of the server's REST interface, None for an empty one."""
        request = urllib.request.Request(f"{self.url}{path}", method=method, headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=90) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def end_kernels(self) -> None:
        """Shut every session down, its kernel with it."""
        for session in self.ask("GET", "/api/sessions"):
            self.ask("DELETE", f"/api/sessions/{session['id']}")

    def set_panel(self, **settings: object) -> None:
        """The user's settings of the panel; pages that are opened from now on have them."""
        folder = self.root.parent / "settings" / "hail-batch-jupyter"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "panel.jupyterlab-settings").write_text(json.dumps(settings))

    def stop(self) -> None:
        """End the server and its kernels."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(ENDS_IN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.ask("GET", "/api/status"))
        except (urllib.error.URLError, OSError):
            return False

    def _command(self) -> list[str]:
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.root,
            "LabApp.expose_app_in_browser": True,
            "JupyterNotebookApp.expose_app_in_browser": True,
        }
        as_root = ["--allow-root"] if os.geteuid() == 0 else []
        return [sys.executable, "-m", "jupyter", "lab", "--no-browser", *as_root, *(f"--{name}={value}" for name, value in options.items())]

    def _environment(self, folder: Path) -> dict[str, str]:
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(_QUIET))
        self.set_panel(notifications=False)
        own = {
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
            "XDG_CONFIG_HOME": "config-home",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON", "PYTEST", "HAIL_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        folders = {name: str(folder / stem) for name, stem in own.items()}
        place = {"HAIL_TERRA": "1", "HAIL_LOCATION": "gce", "HAIL_DOMAIN": f"127.0.0.1:{self.service_port}"}
        folders["HAIL_TOKENS_FILE"] = str(self.service_data / "tokens.json")
        return {**inherited, **place, **folders, RUNS: str(self.runs), "JUPYTER_TOKEN": self.token, "PATH": path, "PYTHONWARNINGS": "default"}
