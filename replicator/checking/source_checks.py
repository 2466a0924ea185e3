"""What is to be known of a source before anything is changed: its files, its journal, what is left out."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from config.errors import LiteferryError
from config.settings import Settings
from config.sources import SourceSpec
from replicator.planning.naming import Naming, named, problems
from replicator.planning.preflight import structure
from replicator.planning.profile import estimate
from replicator.postgres.connections import Target
from replicator.streaming.tailer import source_error
from triggers import capture, fence
from triggers.connection import journal_mode
from triggers.key import choose
from triggers.schema import Skipped, Table
from triggers.session import Session

from . import backup
from .adoption_checks import existing
from .checks import Findings, Level, Placed, Survey, counted, read_seconds, shown
from .content_checks import check_contents
from .estimate import duration, sample, spoken
from .place_checks import check_place

MIB = 1 << 20


async def survey(
    spec: SourceSpec, settings: Settings, backup_to: Path | None = None, target: Target | None = None
) -> Survey:
    """Look at everything about a source; raises nothing for what is wrong with it.

    With `backup_to` a backup is made in that folder. Tables that a `target` has already are judged by it.
    """
    found = Findings(str(spec.path))
    check_place(found, spec.path, settings)
    naming = Naming.of(settings, spec.prefix)
    tables: list[Table] = []
    source_id = None
    try:
        async with Session(spec.path) as session:
            try:
                source_id = await session.run(capture.source_id)
                tables = await _inside(found, session, spec, settings, target, source_id)
                await _backup(found, session, settings, backup_to)
            except sqlite3.Error as error:
                raise source_error(session, error) from error
    except LiteferryError as error:
        found.refused("file", error)
    names = naming.tables(table.name for table in tables).names
    placed = [Placed(spec.schema, names[t.name], t.name, str(spec.path)) for t in tables]
    return Survey(spec, found.checks, placed, tables, source_id)


async def _inside(
    found: Findings,
    session: Session,
    spec: SourceSpec,
    settings: Settings,
    target: Target | None,
    source_id: UUID | None,
) -> list[Table]:
    mode = await session.run(journal_mode)
    found.add("sqlite library", Level.PASS, f"{sqlite3.sqlite_version} in this Python, 3.37 or newer needed")
    _journal(found, mode)
    tables, skipped = await session.run(structure, settings.exclude)
    size = os.stat(spec.path).st_size / MIB
    text = f"{size:,.1f} MiB, {counted(len(tables), 'table')}, to schema {spec.schema!r}"
    found.add(
        "size", Level.PASS if tables else Level.WARN, text, "" if tables else "there is nothing to move"
    )
    await _duration(found, session, tables, settings, mode)
    await _leftovers(found, session)
    _left_out(found, skipped)
    naming = Naming.of(settings, spec.prefix)
    names = {} if _names(found, tables, naming) else named(naming, tables)
    there = await existing(target, source_id, spec.schema, names)
    await check_contents(found, session, tables, spec.schema, settings, mode, there)
    return tables


async def _duration(
    found: Findings, session: Session, tables: Sequence[Table], settings: Settings, mode: str
) -> None:
    """Estimate the first copy from a sample of the largest tables."""
    rows: dict[str, int] = {}
    for table in tables:
        try:
            rows[table.name] = await session.run(estimate, table, choose(table))
        except LiteferryError:
            continue  # told as an error of the plan
    largest = sorted(tables, key=lambda table: rows.get(table.name, 0), reverse=True)
    taken = await session.run(sample, largest, read_seconds(settings, mode))
    size = os.stat(session.path).st_size
    told = duration(sum(rows.values()), size, taken)
    if told is None:
        found.add("duration", Level.PASS, "nothing to copy")
        return
    least, most = map(spoken, told)
    span = least if least == most else f"{least} to {most}"
    rate = f"{taken.rows / max(taken.seconds, 1e-6):,.0f} rows a second were read"
    found.add("duration", Level.PASS, f"the first copy takes {span}, as far as a sample tells: {rate}")


async def _backup(found: Findings, session: Session, settings: Settings, folder: Path | None) -> None:
    if folder is None:
        hint = "`liteferry check --backup DIR` makes one beside the application's work and checks it"
        found.add("backup", Level.WARN, "none was asked for", hint)
        return
    stop = threading.Event()
    limits = {"most_wal_mb": settings.wal_warn_mb, "keep_free_mb": settings.disk_min_free_mb}
    making = asyncio.ensure_future(session.run(backup.make, session.path, folder, stop, **limits))
    try:
        made = await asyncio.shield(making)
    except LiteferryError as error:
        found.refused("backup", error)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([making])
        raise
    else:
        text = (
            f"{made.path}: {made.size / MIB:,.1f} MiB, {counted(sum(made.rows.values()), 'row')} in "
            f"{counted(len(made.rows), 'table')}, checked, sha256 {made.sha256[:16]}..."
        )
        found.add("backup", Level.PASS, text)


def _names(found: Findings, tables: Sequence[Table], naming: Naming) -> bool:
    """Note what gets another name, and each two names that would be one; tell whether there are such."""
    wrong = problems(naming, tables)
    for error in wrong:
        found.refused("names", error)
    if wrong or not tables:
        return bool(wrong)
    names = named(naming, tables)
    other = [f"{name!r} is {to!r}" for t in tables for name, to in names[t.name].other_than(t.name)]
    text = f"{len(other)} renamed: {shown(other, as_they_are=True)}" if other else "as in the source"
    found.add("names", Level.PASS, text)
    return False


def _journal(found: Findings, mode: str) -> None:
    if mode == "wal":
        found.add("journal mode", Level.PASS, "wal: reading keeps no writer waiting")
    else:
        text = f"{mode}: each of our reads keeps the application's writers waiting for some milliseconds"
        hint = "PRAGMA journal_mode = WAL, once, by the application's owner; it stays in the file"
        found.add("journal mode", Level.WARN, text, hint)


async def _leftovers(found: Findings, session: Session) -> None:
    if await session.run(fence.is_fenced):
        text = "it is fenced: the application was cut over to PostgreSQL, writes are refused here"
        hint = "`liteferry run` with that target; or `liteferry uninstall --lift-fence` if it was given up"
        found.add("capture", Level.FAIL, text, hint)
    elif await session.run(capture.source_id) is not None:
        hint = "`liteferry run` with the same target goes on; `liteferry uninstall` takes it out"
        found.add("capture", Level.WARN, "change log and triggers of an earlier run are installed", hint)
    else:
        found.add("capture", Level.PASS, "nothing of liteferry is in it yet")


def _left_out(found: Findings, skipped: Sequence[Skipped]) -> None:
    kinds = {"view": "make them on the target by hand", "virtual": "PostgreSQL has its own full-text search"}
    for kind, hint in kinds.items():
        names = [s.name for s in skipped if s.kind == kind]
        if names:
            what = "views" if kind == "view" else "virtual tables"
            found.add(what, Level.WARN, f"{len(names)} not carried over: {shown(names)}", hint)
    excluded = [s.name for s in skipped if s.kind == "table"]
    if excluded:
        found.add(
            "exclude",
            Level.PASS,
            f"{counted(len(excluded), 'table')} left out by `exclude`: {shown(excluded)}",
        )
    triggers = [s.name for s in skipped if s.kind == "trigger"]
    if triggers:
        hint = "what they do has to be done on PostgreSQL too: write them there after the cutover"
        text = f"{len(triggers)} of the application's are not carried over: {shown(triggers)}"
        found.add("triggers", Level.WARN, text, hint)
