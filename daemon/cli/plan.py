"""`liteferry plan`: what the target would look like, and why."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError, Unsupported
from config.settings import Settings
from config.sources import SourceSpec, resolve_sources
from replicator.checking import checks
from replicator.planning.adopting import Looking
from replicator.planning.naming import Naming, check_renames
from replicator.planning.plan import SourcePlan, TablePlan, check_overrides
from replicator.planning.policy import Policy, check_names
from replicator.planning.preflight import make_plan
from replicator.planning.suggestion import Opinion, Opinions, Trial, opinions
from replicator.planning.types import Evidence, Mixed
from replicator.postgres.connections import Target
from replicator.schema import ddl, views
from replicator.streaming.tailer import source_error
from triggers.connection import journal_mode
from triggers.session import Session

from .offline import offline_target
from .options import adopt_option, json_option, settings_from, source_options
from .text import plural, to_json


@dataclass(frozen=True)
class Planned:
    """A source, its plan, and the tables of it that the target has already (None: nobody looked)."""

    spec: SourceSpec
    plan: SourcePlan
    existing: list[str] | None = field(default=None)
    #: By table; empty where nobody looked at the values.
    opinions: dict[str, Opinions] = field(default_factory=dict)


@click.command()
@source_options
@adopt_option
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
    settings leaves that out. With a target, tables that are there already are noted. Comments say what a
    type set under `columns` refuses, what it does not carry, and which other types would hold every value;
    values that do not fit in are shown by their first characters.
    """
    settings = settings_from(config, **given)
    planned = asyncio.run(_plan(settings, resolve_sources(settings)))
    script = "\n".join(_script(planned))
    if out is not None:
        _write(out, script)
    _shout(planned)
    if as_json:
        click.echo(to_json({"sources": [_source(one) for one in planned]}))
    elif out is None:
        click.echo(script, nl=False)
    else:
        click.echo(f"{out}: {plural(sum(len(p.plan.tables) for p in planned), 'table')}", err=True)


def _shout(planned: Sequence[Planned]) -> None:
    """Tell of types that are little more than a guess where a redirected script would hide it."""
    for table in (t for one in planned for t in one.plan.tables):
        for column in (c for c in table.columns if c.unclear):
            share = f"{column.dissenting:,} of its values are something else"
            click.echo(
                f"warning: {table.name}.{column.source}: {column.pg_type} is unclear: {share}", err=True
            )


async def _plan(settings: Settings, specs: Sequence[SourceSpec]) -> list[Planned]:
    if settings.target is None:
        return await _plan_all(settings, specs, None)
    if settings.existing_tables != "adopt":
        # no connection is kept for as long as the sources are read
        planned = await _plan_all(settings, specs, None)
        async with offline_target(settings) as target:
            return [replace(p, existing=await checks.existing_tables(target, p.plan)) for p in planned]
    async with offline_target(settings) as target:
        planned = await _plan_all(settings, specs, target)
        return [replace(p, existing=await checks.existing_tables(target, p.plan)) for p in planned]


async def _plan_all(settings: Settings, specs: Sequence[SourceSpec], target: Target | None) -> list[Planned]:
    planned = [await _plan_source(settings, spec, target) for spec in specs]
    tables = [t.table for p in planned for t in p.plan.tables]
    check_overrides(tables, settings.columns)
    check_names(tables, settings.bad_values)
    check_renames(tables, settings.rename)
    checks.refuse_meetings(
        checks.Placed(t.schema, t.target, t.name, str(p.spec.path)) for p in planned for t in p.plan.tables
    )
    return planned


async def _plan_source(settings: Settings, spec: SourceSpec, target: Target | None) -> Planned:
    async with Session(spec.path) as session:
        try:
            seconds = checks.read_seconds(settings, await session.run(journal_mode))
            made = await make_plan(
                session,
                spec.schema,
                naming=Naming.of(settings, spec.prefix),
                exclude=settings.exclude,
                overrides=settings.columns,
                profile=settings.profile,
                profile_rows=settings.profile_rows,
                read_seconds=seconds,
                target=target,
                leave_out=settings.leave_out,
                policy=Policy(settings.on_bad_value == "halt", settings.bad_values),
            )
            if not settings.profile:
                return Planned(spec, made)
            if target is not None:
                await _foretell(settings, session, target, made, seconds)
            # of adopted tables all is said already
            own = [t for t in made.tables if not t.adopted]
            told = {t.name: await opinions(session, t, seconds, settings.profile_rows) for t in own}
            return Planned(spec, made, opinions=told)
        except Mixed as error:
            # this output is the operator's own, so it may show how such a value begins
            hint = f"{error.evidence.dissent(excerpts=True)}; {error.hint}"
            raise Unsupported(str(error), hint=hint) from None
        except sqlite3.Error as error:
            raise source_error(session, error) from error


async def _foretell(
    settings: Settings, session: Session, target: Target, made: SourcePlan, seconds: float
) -> None:
    """Add what the CHECKs of adopted tables will say to the warnings."""
    looking = Looking(session, settings.columns, settings.leave_out, seconds, settings.profile_rows)
    for table in made.tables:
        if table.adopted:
            adoption = made.adoptions[table.name]
            adoption.warnings += await looking.foretell(target, table, adoption)


def _write(out: Path, script: str) -> None:
    try:
        out.write_text(script, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {str(out)!r} cannot be written: {error.strerror}") from None


def _script(planned: Sequence[Planned]) -> Iterator[str]:
    for one in planned:
        yield f"-- {one.spec.path}"
        yield from (f"-- in the way: the target has {name!r} already" for name in one.existing or ())
        yield from map(_comment, _adopted(one))
        yield from map(_comment, _remarks(one))
        yield ddl.script(one.plan)


def _comment(text: str) -> str:
    # a value may hold line breaks of any kind, behind which the comment would be at its end
    return "-- " + " ".join(text.split())


def _adopted(one: Planned) -> Iterator[str]:
    for table in one.plan.tables:
        if table.adopted:
            yield f"adopted: {table.name} goes to {table.qualified} as it is"
            for column in table.columns:
                yield f"adopted: {table.name}.{column.source}: {column.conversion or column.pg_type}"
            adoption = one.plan.adoptions[table.name]
            yield from (f"adopted: {n.table}, {n.what}: {n.reason}" for n in adoption.notes)
            yield from (f"warning: {text}" for text in adoption.warnings)


def _remarks(one: Planned) -> Iterator[str]:
    for table, told in one.opinions.items():
        if told.quarantined:
            yield f"quarantine: {table}: {plural(told.quarantined, 'row')} would be kept there, see warnings"
        for column, opinion in told.columns.items():
            if opinion.refused is not None:
                yield f"refused: {table}.{column}: {opinion.refused.text()}"
            yield from (f"warning: {table}.{column}: {text}" for text in opinion.warnings)
            yield from (f"suggestion: {table}.{column}: {trial.text()}" for trial in opinion.suggestions)


def _source(one: Planned) -> dict[str, Any]:
    return {
        "path": str(one.spec.path),
        "schema": one.spec.schema,
        "tables": [_table(table, one) for table in one.plan.tables],
        "views": [view.name for view in views.translate(one.plan.views, one.plan.tables, one.plan.schema)[0]],
        "skipped": [{"name": s.name, "kind": s.kind, "reason": s.reason} for s in one.plan.skipped],
        "existing": one.existing,
    }


def _table(table: TablePlan, one: Planned) -> dict[str, Any]:
    told = one.opinions.get(table.name, Opinions())
    adoption = one.plan.adoptions.get(table.name)
    notes = adoption.notes if adoption else ddl.notes(table, one.plan.tables)
    return {
        "name": table.name,
        "target": table.qualified,
        "rows": table.rows,
        "quarantined": told.quarantined,
        "key": {"kind": table.key.kind.value, "columns": list(table.key.columns)},
        "columns": [
            {
                "name": column.source,
                "target": column.target,
                "declared": table.table.column(column.source).declared,
                "type": column.pg_type,
                "set_by_user": column.overridden,
                "conversion": column.conversion,
                "to": column.target,
                "evidence": column.evidence.text(),
                **_extent(column.evidence),
                "classes": {kind: count for kind, count in column.evidence.classes.items() if count},
                "dissenting": column.dissenting,
                "unclear": column.unclear,
                **_opinion(told.of(column.source)),
            }
            for column in table.columns
        ],
        "renamed": [{"name": name, "target": target} for name, target in ddl.renames(table)],
        "adopted": table.adopted,
        "warnings": list(adoption.warnings) if adoption else [],
        "notes": [{"what": n.what, "reason": n.reason} for n in notes],
    }


def _extent(evidence: Evidence) -> dict[str, Any]:
    """Return how far the values reach; what JSON has no number for as text."""
    numbers = {"least": evidence.least, "greatest": evidence.greatest}
    told = {
        name: str(n) if isinstance(n, float) and not math.isfinite(n) else n for name, n in numbers.items()
    }
    has_length = evidence.classes.get("text") or evidence.classes.get("blob")
    return {**told, "longest_bytes": evidence.longest if has_length else None}


def _opinion(opinion: Opinion) -> dict[str, Any]:
    return {
        "refused": _trial(opinion.refused) if opinion.refused is not None else None,
        "warnings": opinion.warnings,
        "suggestions": [_trial(trial) for trial in opinion.suggestions],
    }


def _trial(trial: Trial) -> dict[str, Any]:
    key, value, reason = trial.first or (None, None, None)
    return {
        "type": trial.conversion,
        "values": trial.tried,
        "refused": trial.refused,
        "first_key": key,
        "first_value": value,
        "reason": reason,
        "text": trial.text(),
    }
