"""One line per thing that happened, as JSON for machines or as text for people; what is `extra` becomes its fields.

A transition's line carries `item`, `stage` and `reason`. Manifests, headers and environment variables are never logged.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from isobench.controller.settings import ControllerSettings

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_QUIET = {"kopf": "WARNING", "kopf._core.reactor.running": "ERROR", "aiohttp": "WARNING", "asyncio": "WARNING"}


class JsonLines(logging.Formatter):
    """Each record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | fields_of(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextLines(logging.Formatter):
    """Each record as `time level message field=value ...`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it a traceback if there is one."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        told = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        line = f"{time} {record.levelname.lower():7} {record.getMessage()}{told}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {name: value for name, value in record.__dict__.items() if name not in _OWN}


def log_to_stderr(settings: ControllerSettings) -> None:
    """Log everything of this process as ``settings`` say; libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
