"""The Jupyter server's route for a starter notebook: a copy of the packaged one, under a name that is free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

ROOT = "hail-batch-jupyter/starter"
TEMPLATE = Path(__file__).with_name("starter.ipynb")
_NAME = "batch-starter.ipynb"


class StarterHandler(APIHandler):
    """POST makes a starter notebook in the folder {'folder'} of the server."""

    auth_resource = "hail-batch-jupyter"

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Answer with {'path'}; a notebook that is there already is left alone, and the new one gets a number."""
        body: Any = self.get_json_body()  # whatever the page sent
        folder = body.get("folder") if isinstance(body, dict) else None
        if not isinstance(folder, str):
            self.set_status(400)
            self.finish({"ok": False, "text": "a starter notebook needs the {'folder'} that it is made in"})
            return
        manager: Any = self.contents_manager  # its methods carry no types
        folder = folder.strip("/")
        if not await ensure_async(manager.dir_exists(folder)):
            self.set_status(404)
            self.finish({"ok": False, "text": f"there is no folder {folder!r} on this server"})
            return
        name = await ensure_async(manager.increment_filename(_NAME, folder))
        path = f"{folder}/{name}".strip("/")
        await ensure_async(manager.save({"type": "notebook", "format": "json", "content": json.loads(TEMPLATE.read_text(encoding="utf-8"))}, path))
        self.set_status(201)
        self.finish({"path": path})
