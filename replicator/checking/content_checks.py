"""What the tables of a source hold, against what the target can: types, keys, values, references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from config.errors import LiteferryError, ValueRefused
from config.settings import Settings
from replicator.planning.plan import TablePlan, plan_table
from replicator.planning.policy import Policy
from replicator.planning.profile import Profile, estimate
from replicator.planning.types import Evidence
from replicator.sources.paging import Cursor, Pace
from replicator.streaming.reader import read_page
from triggers import relations
from triggers.inspection import Violations, foreign_key_violations, unpredictable_uniques
from triggers.key import KeyKind, choose
from triggers.schema import Table
from triggers.session import Session

from .adoption_checks import Existing, check_adoptions
from .checks import Findings, Level, counted, read_seconds, shown

QUARANTINE_HINT = "correct them in SQLite, or set another type or rule under [columns] or [bad_values]"
UNCLEAR_HINT = "say under [columns] what the column is, or under [bad_values] what becomes of the rest"

#: Longest read for one table's foreign keys. Without WAL the application's writers wait for it.
FOREIGN_KEY_SECONDS = 2.0
FOREIGN_KEY_SECONDS_ROLLBACK = 0.1


async def check_contents(
    found: Findings,
    session: Session,
    tables: Sequence[Table],
    schema: str,
    settings: Settings,
    mode: str,
    there: Existing,
) -> None:
    """Read every table in short reads, as the profile and the copy do, and note what stands against it.

    Tables that are `there` already are judged by the types they have there. With `profile` switched off only
    the structure is looked at.
    """
    seconds = read_seconds(settings, mode)
    budget, most = seconds if settings.profile else None, settings.profile_rows
    evidence = {t.name: await _evidence(session, t, budget, most) for t in tables}
    policy = Policy(settings.on_bad_value == "halt", settings.bad_values)
    own = [t for t in tables if t.name not in there.tables]
    adopted = [t for t in tables if t.name in there.tables]
    plans = _plans(found, own, evidence, schema, settings.columns, policy)
    await check_adoptions(found, session, there, adopted, evidence, schema, settings, budget or 0)
    _keys(found, tables, evidence)
    _defaults(found, tables)
    if settings.profile:
        level = Level.FAIL if policy.halt else Level.WARN
        await _values(found, session, plans, seconds, settings.batch_memory_mb << 20, level)
    level = Level.FAIL if settings.foreign_keys_enforced else Level.WARN
    await _foreign_keys(found, session, tables, mode, level)


async def _evidence(session: Session, table: Table, seconds: float | None, most: int) -> list[Evidence]:
    """Return what the columns hold; without `seconds` to read for, only that there are rows."""
    try:
        key = choose(table)
    except LiteferryError:
        return [Evidence() for _ in table.columns]
    if seconds is None:
        rows = await session.run(estimate, table, key)
        return [Evidence(rows) for _ in table.columns]
    counting = Profile(table, key, seconds, most)
    while not counting.done:
        await session.run(counting.step)
    return counting.evidence()


def _plans(
    found: Findings,
    tables: Sequence[Table],
    evidence: Mapping[str, Sequence[Evidence]],
    schema: str,
    overrides: Mapping[str, str],
    policy: Policy,
) -> list[TablePlan]:
    """Plan every table, and note all that stands against it rather than the first."""
    plans = []
    wrong = 0
    for table in tables:
        errors = problems(table, schema, evidence[table.name], overrides, policy)
        wrong += len(errors)
        for error in errors:
            found.refused("plan", error)
        if not errors:
            plans.append(plan_table(table, schema, evidence[table.name], overrides, policy=policy))
    if tables and not wrong:
        found.add(
            "plan", Level.PASS, f"every column of {counted(len(tables), 'table')} has a type that holds it"
        )
    return plans


def problems(
    table: Table,
    schema: str,
    evidence: Sequence[Evidence],
    overrides: Mapping[str, str],
    policy: Policy = Policy(),  # noqa: B008  # a constant
) -> list[LiteferryError]:
    """Return all errors that planning a table meets, where `plan_table` stops at the first."""
    met: dict[str, LiteferryError] = {}
    # each column in a table of its own: the same rules, one error each
    parts = [
        (replace(table, columns=(column,), indexes=(), without_rowid=False), [seen])
        for column, seen in zip(table.columns, evidence, strict=True)
    ]
    for part, seen in [*parts, (table, list(evidence))]:
        try:
            plan_table(part, schema, seen, overrides, policy=policy)
        except LiteferryError as error:
            met.setdefault(str(error), error)
    return list(met.values())


def _keys(found: Findings, tables: Sequence[Table], evidence: Mapping[str, Sequence[Evidence]]) -> None:
    without = [table.name for table in tables if _has_no_key(table, evidence[table.name])]
    if without:
        text = f"{counted(len(without), 'table')} without one: {shown(without)}"
        hint = (
            "they are followed by their rowid, in an added column _liteferry_rowid; a primary key in SQLite, "
            "or a UNIQUE index over NOT NULL columns, makes that unnecessary"
        )
        found.add("keys", Level.WARN, text, hint)
    elif tables:
        found.add("keys", Level.PASS, "every table has one")


def _has_no_key(table: Table, evidence: Sequence[Evidence]) -> bool:
    with_null = [c.name for c, e in zip(table.columns, evidence, strict=True) if e.nulls]
    try:
        return choose(table, with_null).kind is KeyKind.ROWID
    except LiteferryError:
        return False  # told already as an error of the plan


def _defaults(found: Findings, tables: Sequence[Table]) -> None:
    names = [f"{table.name}.{column}" for table in tables for column in unpredictable_uniques(table)]
    if names:
        text = f"unique columns with a default that is never the same twice: {shown(names)}"
        hint = (
            "a REPLACE that stores such a default may remove a row that the triggers cannot name; compare "
            "with `liteferry verify` before the cutover"
        )
        found.add("defaults", Level.WARN, text, hint)


async def _values(
    found: Findings, session: Session, plans: Sequence[TablePlan], seconds: float, memory: int, level: Level
) -> None:
    """Convert every value as the copy would; of each table note the first row that has no equal, at `level`.

    Below FAIL all such rows are counted.
    """
    refused = 0
    for plan in plans:
        rows, first = await _refused(session, plan, seconds, memory, only_first=level is Level.FAIL)
        if first is not None:
            refused += 1
            more = f"{counted(rows, 'row')} would go into quarantine; the first: " if rows > 0 else ""
            found.add("values", level, f"{more}{first}", QUARANTINE_HINT if more else first.hint)
        for column in (c for c in plan.columns if c.unclear):
            text = f"table {plan.name!r}, column {column.source!r}: {column.pg_type} is unclear"
            known = sum(column.evidence.classes.values())
            share = f"{column.dissenting:,} of {known:,} values are something else"
            found.add("values", Level.WARN, f"{text}: {share}", UNCLEAR_HINT)
    if plans and not refused:
        found.add("values", Level.PASS, "every value can be stored as it is")


async def _refused(
    session: Session, plan: TablePlan, seconds: float, memory: int, *, only_first: bool
) -> tuple[int, ValueRefused | None]:
    """Return how many rows cannot be stored, 0 where only the first was looked for, and that one's error."""
    pace = Pace(seconds)
    pace.bound(plan.row_bytes, memory)
    after: Cursor | None = None
    last, rows = False, 0
    first: ValueRefused | None = None
    while not last:
        page = await session.run(read_page, plan, after, pace.rows)
        after, last = page.cursor, page.last
        refusals = plan.converter.sift(page.rows)[1]
        if refusals and first is None:
            first = plan.converter.error(refusals[0])
            if only_first:
                return 0, first
        rows += len(refusals)
    return rows, first


async def _foreign_keys(
    found: Findings, session: Session, tables: Sequence[Table], mode: str, harm: Level
) -> None:
    seconds = FOREIGN_KEY_SECONDS if mode == "wal" else FOREIGN_KEY_SECONDS_ROLLBACK
    broken = await session.run(relations.harmed, tables)
    if broken:
        names = shown([str(one) for one in broken], as_they_are=True)
        text = f"no key behind {counted(len(broken), 'foreign key')}: {names}"
        found.add("foreign key mismatch", harm, text, relations.HINT)
    related = [table for table in tables if table.foreign_keys]
    counts = [await session.run(foreign_key_violations, table, seconds) for table in related]
    told = [text for count in counts for text in _violations(count)]
    if told:
        hint = (
            "the rows are carried over as they are; such a foreign key is kept NOT VALID on the target: it "
            "holds for new rows only, until the old ones are mended"
        )
        found.add("foreign keys", Level.WARN, "; ".join(told), hint)
    elif related:
        found.add("foreign keys", Level.PASS, f"no violation in {counted(len(related), 'table')}")


def _violations(count: Violations) -> Iterator[str]:
    if count.mismatch:
        yield f"table {count.table!r}: refers to columns that are not unique"
    elif not count.complete:
        yield f"table {count.table!r}: {counted(count.rows, 'violation')} or more, not looked at to its end"
    elif count.rows:
        yield f"table {count.table!r}: {counted(count.rows, 'violation')}"
