"""What is wrong, told from what was gathered, the worst first, each with what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from replicator.checking.filesystem import NETWORK

Facts = Mapping[str, Any]

#: States in which the target's tables are open to everybody.
OPEN = ("cut_over", "finished")


@dataclass(frozen=True)
class Problem:
    """Something that must be mended, or that a part of the report is missing for."""

    subject: str
    what: str
    do: str
    #: The application suffers from it now.
    urgent: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def problems(gathered: Facts) -> list[Problem]:
    """Return what is wrong, urgent things first."""
    found = [*_settings(gathered), *_daemon(gathered)]
    for source in gathered.get("sources") or []:
        found += _source(source, gathered)
    found += _target(gathered)
    return sorted(found, key=lambda one: not one.urgent)


def _settings(gathered: Facts) -> Iterator[Problem]:
    settings = gathered.get("settings") or {}
    if "error" in settings:
        yield Problem(
            "settings", str(settings["error"]), "mend it; what depends on it is missing in this report"
        )


def _daemon(gathered: Facts) -> Iterator[Problem]:
    daemon = gathered.get("daemon") or {}
    if "error" in daemon:
        yield Problem(
            "daemon",
            str(daemon["error"]),
            "start it with `liteferry run`, or its service; status and metrics are missing in this report",
        )
        return
    status = daemon.get("status") or {}
    if status.get("state") == "failed":
        yield Problem("daemon", "the migration has failed", "see `error` of the sources, and the log")
    for source in status.get("sources") or []:
        if source.get("error"):
            yield Problem(source["path"], str(source["error"]), "see docs/howto/runbook.md")
        elif source.get("paused"):
            since = source["paused"]["since"]
            yield Problem(source["path"], f"it is paused since {since}", "`liteferry resume` lets it go on")


def _source(source: Facts, gathered: Facts) -> Iterator[Problem]:
    path = source["path"]
    database = source.get("database") or {}
    if "error" in source:
        yield Problem(path, str(source["error"]), "give the file's path; its part of the report is missing")
    if database.get("mending_statement"):
        yield Problem(
            path,
            "the change log is gone but its triggers are not: every write of the application fails with "
            "'no such table: main._liteferry_log'",
            f'first, at once: sqlite3 {path} "{_shell(database["mending_statement"])}" - then writes '
            "succeed again, and a running daemon reads all tables anew by itself. Then keep the tool that "
            "dropped the table away from _liteferry_*",
            urgent=True,
        )
    if source.get("missing_permissions"):
        missing = ", ".join(source["missing_permissions"])
        yield Problem(path, f"this user may not {missing}", "run liteferry as the user of the application")
    if source.get("filesystem") in NETWORK:
        what = f"{source['filesystem']} is a network file system: SQLite's locks cannot be relied on"
        yield Problem(path, what, "run liteferry on the machine that has the file on a local disk")
    yield from _space(source, gathered)
    changed = [one["name"] for one in database.get("captured") or [] if not one["as_put_in"]]
    if changed and not database.get("fenced_by"):
        what = f"triggers of {len(changed)} tables are missing or were edited: {', '.join(changed[:5])}"
        yield Problem(path, what, "a running daemon puts them in again and reads the tables anew")
    yield from _strange(source, gathered)


def _space(source: Facts, gathered: Facts) -> Iterator[Problem]:
    free, least = source.get("disk_free_bytes"), _setting(gathered, "disk_min_free_mb")
    if free is not None and least and free < least << 20:
        what = f"{free >> 20} MiB are free beside it, at least {least} must be"
        yield Problem(source["path"], what, "make room: the change log and the WAL grow", urgent=True)
    used, most = source.get("wal_used_bytes") or 0, _setting(gathered, "wal_warn_mb")
    if most and used > most << 20:
        what = f"its WAL holds {used >> 20} MiB, wal_warn_mb is {most}"
        yield Problem(source["path"], what, "see who holds a long read transaction: `open_in` lists programs")


def _strange(source: Facts, gathered: Facts) -> Iterator[Problem]:
    known = (gathered.get("target") or {}).get("sources")
    installed = (source.get("database") or {}).get("installation")
    if isinstance(known, list) and installed and installed not in {one["source_id"] for one in known}:
        what = "its capture is installed, but the target does not know it: nothing prunes its change log"
        yield Problem(source["path"], what, "give the right target, or run `liteferry uninstall`")


def _target(gathered: Facts) -> Iterator[Problem]:
    target = gathered.get("target") or {}
    if "error" in target:
        yield Problem("target", str(target["error"]), "its part of the report is missing")
        return
    states = {one["source_id"]: one["state"] for one in _rows(target, "sources")}
    for table in _rows(target, "tables"):
        name = f"{table['schema']}.{table['target']}"
        if not table["exists"]:
            yield Problem("target", f"table {name} is gone", "it was dropped: start afresh, see the runbook")
        elif not table["guarded"] and states.get(table["source_id"]) not in OPEN:
            what = f"table {name} has lost its guard: others can write to it before the cutover"
            yield Problem("target", what, "see what was written, and run `liteferry verify --repair`")
        if table["quarantined"]:
            what = f"{table['quarantined']} rows of table {name} are in quarantine"
            yield Problem("target", what, "see `liteferry quarantine list`")
        if table["stale"]:
            yield Problem("target", f"table {name} is read again: {table['stale']}", "wait for it")


def _rows(target: Facts, part: str) -> list[Any]:
    found = target.get(part)
    return found if isinstance(found, list) else []


def _setting(gathered: Facts, name: str) -> int:
    value = ((gathered.get("settings") or {}).get(name) or {}).get("value")
    return value if isinstance(value, int) else 0


def _shell(sql: str) -> str:
    return sql.replace('"', "")
