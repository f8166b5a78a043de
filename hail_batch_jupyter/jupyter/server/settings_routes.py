"""The Jupyter server's route for what batches are made with where nothing else is said: the same settings that `hail-batch-jupyter config` shows."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from hail_batch_jupyter.config import active_profile, profile_file, value_in_files, variable_of
from hail_batch_jupyter.config.files import set_value, unset_value
from hail_batch_jupyter.config.variables import VARIABLES
from hail_batch_jupyter.core.registry import backend_names
from hail_batch_jupyter.errors import ConfigError
from hail_batch_jupyter.jupyter.live.graph import Message
from hail_batch_jupyter.jupyter.server.replies import Reply, said

ROOT = "hail-batch-jupyter/settings"
_BACKEND, _CARD = "batch/backend", "batch/rate_card"
NAMES = (_BACKEND, _CARD, "batch/billing_project", "batch/keep_runs_days", "batch/keep_runs_gb")
"""Those that the panel shows; none of them can be a secret."""


def shown_settings() -> Message:
    """{'file', 'settings': [{'name', 'meaning', 'value', 'variable', 'choices', 'closed'}]}.

    value     what the user's files say, '' where they say nothing
    variable  of the environment that this server and its kernels have, and that counts instead; '' when it is not set
    choices   the valid values when they are closed, else proposals
    Raises ConfigError for a file that cannot be read.
    """
    from hail_batch_jupyter.cost.card import built_in

    proposals = {_BACKEND: backend_names(), _CARD: built_in()}
    settings = []
    for name in NAMES:
        found, variable = VARIABLES[name], variable_of(*VARIABLES[name].place)
        settings.append(
            {
                "name": name,
                "meaning": found.meaning,
                "value": value_in_files(*found.place) or "",
                "variable": variable if os.environ.get(variable) else "",
                "choices": proposals.get(name, []),
                "closed": name == _BACKEND,
            }
        )
    return {"file": str(profile_file(active_profile())), "settings": settings}


def change_settings(wanted: object) -> Reply:
    """Set each name to its text, '' for taking it out of the user's file; nothing is changed when one cannot be.

    Raises ConfigError.
    """
    from hail_batch_jupyter.config.variables import checked
    from hail_batch_jupyter.cost.card import load_card

    if not isinstance(wanted, dict) or not all(name in NAMES and isinstance(value, str) for name, value in wanted.items()):
        return said(400, f"settings are an object of texts with names among {', '.join(NAMES)}")
    for name, value in wanted.items():
        if value.strip():
            checked(name, value)
    if wanted.get(_CARD, "").strip():
        load_card(wanted[_CARD].strip())
    for name, value in wanted.items():
        if value.strip():
            set_value(name, value)
        else:
            unset_value(name)
    return Reply(200, shown_settings())


class SettingsHandler(APIHandler):
    """GET gives the settings, POST changes some of them and gives them all."""

    auth_resource = "hail-batch-jupyter"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with what `shown_settings` gives."""
        await self._answer(lambda: Reply(200, shown_settings()))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take {name: text}; 400 with a sentence for a value that cannot be."""
        body: Any = self.get_json_body()  # whatever the page sent
        await self._answer(lambda: change_settings(body))

    async def _answer(self, work: Any) -> None:
        try:
            status, content = await asyncio.to_thread(work)
        except ConfigError as error:
            status, content = said(400, str(error))
        except OSError as error:
            status, content = said(500, f"the configuration file cannot be written ({error.strerror})")
        self.set_status(status)
        self.finish(content)
