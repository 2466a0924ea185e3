"""`liteferry plan`: what the target would look like, and why."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError
from config.settings import Settings
from config.sources import SourceSpec, resolve_sources
from replicator import checks, ddl
from replicator.plan import SourcePlan, TablePlan, check_overrides
from replicator.preflight import make_plan
from replicator.tailer import source_error
from triggers.connection import journal_mode
from triggers.session import Session

from .offline import offline_target
from .options import json_option, settings_from, source_options
from .text import plural, to_json


@dataclass(frozen=True)
class Planned:
    """A source, its plan, and the tables of it that the target has already (None: nobody looked)."""

    spec: SourceSpec
    plan: SourcePlan
    existing: list[str] | None = field(default=None)


@click.command()
@source_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the DDL to a file.",
)
@json_option
def plan(config: Path | None, out: Path | None, as_json: bool, **given: Any) -> None:
    """Print the target's DDL for SOURCE..., with the evidence for every type.

    SOURCE is a SQLite file, several, or a folder (default: SQLITE_DIR). Changes nothing on either side.
    Every table is read once, in short reads, to see what its columns really hold; `profile = false` in the
    settings leaves that out. With a target, tables that are there already are noted.
    """
    settings = settings_from(config, **given)
    planned = asyncio.run(_plan(settings, resolve_sources(settings)))
    script = "\n".join(_script(planned))
    if out is not None:
        _write(out, script)
    if as_json:
        click.echo(to_json({"sources": [_source(one) for one in planned]}))
    elif out is None:
        click.echo(script, nl=False)
    else:
        click.echo(f"{out}: {plural(sum(len(p.plan.tables) for p in planned), 'table')}", err=True)


async def _plan(settings: Settings, specs: Sequence[SourceSpec]) -> list[Planned]:
    planned = [Planned(spec, await _plan_source(settings, spec)) for spec in specs]
    check_overrides([t.table for p in planned for t in p.plan.tables], settings.columns)
    checks.refuse_meetings((p.spec.schema, t.name) for p in planned for t in p.plan.tables)
    if settings.target is None:
        return planned
    async with offline_target(settings.target_url()) as target:
        return [Planned(p.spec, p.plan, await checks.existing_tables(target, p.plan)) for p in planned]


async def _plan_source(settings: Settings, spec: SourceSpec) -> SourcePlan:
    async with Session(spec.path) as session:
        try:
            return await make_plan(
                session,
                spec.schema,
                exclude=settings.exclude,
                overrides=settings.columns,
                profile=settings.profile,
                read_seconds=checks.read_seconds(settings, await session.run(journal_mode)),
            )
        except sqlite3.Error as error:
            raise source_error(session, error) from error


def _write(out: Path, script: str) -> None:
    try:
        out.write_text(script, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {str(out)!r} cannot be written: {error.strerror}") from None


def _script(planned: Sequence[Planned]) -> Iterator[str]:
    for one in planned:
        yield f"-- {one.spec.path}"
        yield from (f"-- in the way: the target has {name!r} already" for name in one.existing or ())
        yield ddl.script(one.plan)


def _source(one: Planned) -> dict[str, Any]:
    return {
        "path": str(one.spec.path),
        "schema": one.spec.schema,
        "tables": [_table(table, one.plan) for table in one.plan.tables],
        "skipped": [{"name": s.name, "kind": s.kind, "reason": s.reason} for s in one.plan.skipped],
        "existing": one.existing,
    }


def _table(table: TablePlan, plan: SourcePlan) -> dict[str, Any]:
    return {
        "name": table.name,
        "target": table.qualified,
        "rows": table.rows,
        "key": {"kind": table.key.kind.value, "columns": list(table.key.columns)},
        "columns": [
            {
                "name": column.source,
                "declared": table.table.column(column.source).declared,
                "type": column.pg_type,
                "set_by_user": column.overridden,
                "evidence": column.evidence.text(),
            }
            for column in table.columns
        ],
        "notes": [{"what": n.what, "reason": n.reason} for n in ddl.notes(table, plan.tables)],
    }
