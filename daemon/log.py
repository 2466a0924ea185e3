"""The log: an event and key-values per line, on standard error, with passwords masked.

Standard output belongs to what commands print. Libraries that use `logging` come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

from config.secret import MASK, is_secret_name, mask_text

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "json", "console"]
Listener = Callable[[str, str, Mapping[str, Any]], None]

_listeners: list[Listener] = []

# these tell of every job run and every request, which at our rhythm is several lines a second
CHATTY = ("apscheduler", "aiohttp.access", "asyncio")
SILENT = ("watchdog",)  # at debug level a line for every file event
# each try to reach a target that is away, with a stack, which we tell of ourselves; each turn of a job that
# is left out because the last one is not over: several lines a second on a busy machine
REPEATING = ("asyncpg.pool", "apscheduler.scheduler", "apscheduler.executors")
DEEPEST = 6  # levels of nesting that are looked through; what lies deeper is shown as text


def configure(level: Level = "info", format: Format = "auto", stream: TextIO | None = None) -> None:
    """Send structlog and `logging` to *stream* (standard error); calling again replaces the set-up."""
    stream = stream or sys.stderr
    console = format == "console" or (format == "auto" and stream.isatty())
    structlog.configure(
        processors=[
            # first: whoever listens hears it whatever the level of the log
            _tell,
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        # cached loggers would keep the first set-up for ever
        cache_logger_on_first_use=False,
    )
    _install(_Handler(stream), _formatter(console, stream.isatty()), level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in REPEATING:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.ERROR)
    logging.captureWarnings(True)


def mask_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide values under names that announce a secret, and passwords inside any text."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own: the record, the logger
            event[name] = MASK if is_secret_name(name) and value is not None else _masked(value)
    return event


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have each line told to a listener while inside: its level, its event, and its key-values."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _tell(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if level != "debug":
        for listener in _listeners:
            listener(level, str(event.get("event", "")), event)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, told apart from handlers that others (a test runner) put at the root."""


def _install(handler: _Handler, formatter: logging.Formatter, level: str) -> None:
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)


def _common() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(console: bool, colors: bool) -> structlog.stdlib.ProcessorFormatter:
    renderer: structlog.typing.Processor
    if console:
        # plain: the pretty form prints local variables, which hold rows and passwords
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
    else:
        renderer = structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_common(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # before masking: exceptions quote URLs
            mask_secrets,
            renderer,
        ],
    )


def _masked(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping) and depth < DEEPEST:
        return {
            str(name): MASK if is_secret_name(str(name)) else _masked(item, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        return [_masked(item, depth + 1) for item in value]
    return mask_text(str(value))
