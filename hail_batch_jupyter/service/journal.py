"""What the service did, as lines of JSON in a file of its data folder."""

from __future__ import annotations

import json
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from hail_batch_jupyter.service.api.answers import time_text

FILE = "service.log"
_BYTES = 16 << 20
_KEPT = 3
_LOGGER = logging.getLogger("hail_batch_jupyter.service")


class _Lines(logging.Formatter):
    """One object a line: time, level, what was said, its fields, and a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {"time": time_text(int(record.created * 1000)), "level": record.levelname.lower(), "said": record.getMessage()}
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def open_log(data: Path) -> None:
    """Write there from now on; old lines move to files with a number, and the oldest go."""
    (data / FILE).touch(mode=0o600)
    handler = RotatingFileHandler(data / FILE, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8")
    handler.setFormatter(_Lines())
    _LOGGER.addHandler(handler)
    _LOGGER.setLevel(logging.INFO)


def note(said: str, **fields: object) -> None:
    """Write a line."""
    _LOGGER.info(said, extra={"fields": fields})
