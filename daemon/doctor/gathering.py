"""The report put together: what the daemon says, what both sides say, and what is wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from config.errors import LiteferryError
from config.problems import Given
from config.settings import Settings
from config.sources import resolve_sources
from daemon.control import Address, Where, ask, read
from replicator.checking.diagnosis import source_facts, target_facts

from .environment import settings_of, variables, versions
from .problems import problems
from .redaction import Masking, Renaming

#: The layout of the report.
FORMAT = 1

#: How long the daemon may take to answer one question.
DAEMON_SECONDS = 10.0


async def gather(
    settings: Settings | LiteferryError, given: Given | None, where: Where, *, redact_names: bool
) -> tuple[dict[str, Any], str]:
    """Return the report, and the metrics as text; nothing in either is a secret, a key or a row.

    Where the settings cannot be read the error is taken in their place, and what depends on them is missing.
    """
    daemon, metrics = await _daemon(where)
    document: dict[str, Any] = {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "variables": variables(),
        "daemon": daemon,
    }
    secrets = [value for name, value in os.environ.items() if name in ("PGPASSWORD",)]
    paths: Iterable[Path] = []
    if isinstance(settings, LiteferryError):
        document |= {"settings": {"error": str(settings)}, "target": {"error": "the settings are wrong"}}
    else:
        assert given is not None
        document["settings"] = settings_of(settings, given)
        document["target"] = await _target(settings)
        secrets += _secrets(settings)
        paths = _configured(settings, document)
    told = [Path(one["path"]) for one in (daemon.get("status") or {}).get("sources") or []]
    document["sources"] = [await asyncio.to_thread(source_facts, p) for p in dict.fromkeys([*paths, *told])]
    document["problems"] = [one.as_dict() for one in problems(document)]
    masking = Masking(secrets)
    document, metrics = masking.document(document), masking.text(metrics)
    if redact_names:
        renaming = Renaming(set(_names(document)))
        document, metrics = renaming.document(document), renaming.text(metrics)
    return document, metrics


async def _daemon(control: Where) -> tuple[dict[str, Any], str]:
    told: dict[str, Any] = {"control": control.url if isinstance(control, Address) else str(control)}
    try:
        async with asyncio.timeout(DAEMON_SECONDS):
            told["status"] = await ask(control, "/api/status")
            told["history"] = await ask(control, "/api/history")
            told["journal"] = await ask(control, "/api/journal")
            return told, (await read(control, "/metrics")).decode("utf-8", "replace")
    except LiteferryError as error:
        return {**told, "error": str(error)}, ""
    except TimeoutError:
        return {**told, "error": f"the daemon has not answered within {DAEMON_SECONDS:g} s"}, ""


async def _target(settings: Settings) -> dict[str, Any]:
    if settings.target is None:
        return {"error": "no target was given: set --target or DATABASE_URL"}
    return await target_facts(settings.target_url())


def _configured(settings: Settings, document: dict[str, Any]) -> list[Path]:
    try:
        return [spec.path for spec in resolve_sources(settings)]
    except LiteferryError as error:
        # those that the daemon follows are looked at all the same
        document["sources_error"] = str(error)
        return []


def _secrets(settings: Settings) -> Iterator[str]:
    yield settings.token or ""
    if settings.target is not None:
        parts = urlsplit(settings.target.get_secret_value())
        user = parts.netloc.rpartition("@")[0]
        yield unquote(user.partition(":")[2])
        for pair in parts.query.split("&"):
            if pair.startswith(("password=", "sslpassword=")):
                yield unquote(pair.partition("=")[2])


def _names(document: Mapping[str, Any]) -> Iterator[str]:
    for source in document["sources"]:
        for one in (source.get("database") or {}).get("captured") or []:
            yield from _of_captured(one)
    target = document["target"]
    for one in target.get("tables") or [] if isinstance(target.get("tables"), list) else []:
        yield from (one["name"], one["target"] or "")
    for source in (document["daemon"].get("status") or {}).get("sources") or []:
        yield from (table["name"] for table in source.get("tables") or [])


def _of_captured(one: Mapping[str, Any]) -> Iterator[str]:
    yield one["name"]
    yield from one["on"]
    yield from one["key_columns"]
