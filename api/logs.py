"""Logging: one handler for everything in the process, as text for people or JSON for machines.

Lines go to standard error; standard output belongs to what a command answers. Times are RFC 3339 in
UTC. API keys have no business in a log; should one get there all the same, in a message, an
argument, an extra or a traceback, it is masked in the finished line, past which nothing is added.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import textwrap
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

access_logger: Final = logging.getLogger("cronpulse.access")
"""Writes one line for each request, by :func:`log_access`."""

_API_KEY = re.compile(r"cpk_[A-Za-z0-9_-]+")
_ID = re.compile(r"[A-Za-z0-9]{24,}")
_ID_PLACE = re.compile(
    r"(?:(?<=/api/ping/)|(?<=/api/run/)|(?<=/api/complete/))[^/]+|" + _ID.pattern
)
_PATH_LONGEST: Final = 200
_ID_SHOWN: Final = {34: 10}
"""Characters of an id by its length: those of its letter and time. Of others, six are shown."""

_LIBRARIES: Final = ("uvicorn", "uvicorn.error", "dramatiq", "httpx", "aiohttp", "alembic")
_QUIET: Final = (
    "httpx",  # prints whole URLs at INFO
    "httpcore",  # prints headers at DEBUG
    "sqlalchemy",  # prints parameters, payloads among them, at INFO
    "alembic",  # prints half a dozen lines at INFO on every start
)
_NOT_EXTRA: Final = frozenset(
    {
        *RESERVED_ATTRS,
        "taskName",  # an attribute of every record from Python 3.12 on
        "color_message",  # uvicorn's message over again, with terminal colours
    }
)


def configure_logging(
    format: LogFormat,  # noqa: A002 - the setting's own name
    level: LogLevel,
    *,
    stream: TextIO | None = None,
) -> None:
    """Send every logger's lines through one handler to ``stream`` (standard error).

    To be called once the settings are known; called again, it replaces what it did before.
    uvicorn must be given ``log_config=None``, or it undoes this.
    """
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonFormatter() if format == "json" else _TextFormatter())
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    uvicorn_access = logging.getLogger("uvicorn.access")  # shows queries and ids of pings
    uvicorn_access.handlers.clear()
    uvicorn_access.propagate = False
    logging.captureWarnings(capture=True)


def log_access(
    *, method: str, path: str, status: int, milliseconds: float, request_id: str
) -> None:
    """Write the one line about a request. ``path`` comes without the query, and goes out masked."""
    if access_logger.isEnabledFor(logging.INFO):
        access_logger.info(
            "request",
            extra={
                "method": method,
                "path": masked_path(path),
                "status": status,
                "ms": round(milliseconds, 2),
                "request_id": request_id,
            },
        )


def masked_path(path: str) -> str:
    """``path`` with the ids in it cut to their first characters, and without a query.

    Whoever knows a job's id can ping for it, so an id must not be had from a log, be it in a ping's
    place, in another call's, or in a mistyped URL. Of its 120 random bits the rest stays unknown.
    """
    masked = _ID_PLACE.sub(lambda found: _cut(found[0]), path.partition("?")[0])
    return masked if len(masked) <= _PATH_LONGEST else f"{masked[:_PATH_LONGEST]}..."


def _cut(part: str) -> str:
    return f"{part[: _ID_SHOWN.get(len(part), 6)]}***" if _ID.fullmatch(part) else "***"


def _masked(line: str) -> str:
    return _API_KEY.sub("cpk_********", line)


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC)
    return f"{time.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


class _Handler(logging.StreamHandler[TextIO]):
    """Masks finished lines, so that no part of a record gets past it."""

    def format(self, record: logging.LogRecord) -> str:
        return _masked(super().format(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base's name
        """Say that a line was lost and why. The base class would print the arguments unmasked."""
        reason = sys.exc_info()[0]
        why = "an error" if reason is None else reason.__name__
        with suppress(OSError, ValueError):
            self.stream.write(f"a line of the logger {record.name} was lost to {why}\n")


class _TextFormatter(logging.Formatter):
    """``<time> <level> <logger>: <message> key=value …``, and any traceback below, indented.

    What could end the line or steer a terminal is escaped, since parts of it come from callers.
    """

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        message = _printable(record.getMessage())
        line = f"{_time(record)} {level:<7} {record.name}: {message}{_extras(record)}"
        if record.exc_info:
            line += f"\n{_indented(self.formatException(record.exc_info))}"
        if record.stack_info:
            line += f"\n{_indented(self.formatStack(record.stack_info))}"
        return line


class _JsonFormatter(JsonFormatter):
    """One JSON object a line: time, level, logger, message, extras, exception, stack."""

    def __init__(self) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message"],
            rename_fields={
                "asctime": "time",
                "levelname": "level",
                "name": "logger",
                "exc_info": "exception",
                "stack_info": "stack",
            },
            reserved_attrs=sorted(_NOT_EXTRA),
        )

    def formatTime(  # noqa: N802 - the base's name
        self,
        record: logging.LogRecord,
        datefmt: str | None = None,
    ) -> str:
        return _time(record)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        log_data["level"] = str(log_data["level"]).lower()
        return log_data


def _extras(record: logging.LogRecord) -> str:
    return "".join(
        f" {name}={_value(value)}"
        for name, value in record.__dict__.items()
        if name not in _NOT_EXTRA and not name.startswith("_")
    )


def _value(value: object) -> str:
    text = str(value)
    if text and not re.search(r"[\s\"=]", text):
        return _printable(text)
    return _printable(json.dumps(text, ensure_ascii=False))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def _indented(block: str) -> str:
    lines = (_printable(line) for line in block.splitlines())
    return textwrap.indent("\n".join(lines), "    ")
