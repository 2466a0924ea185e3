"""`liteferry check`: whether it can be moved, and what to mend before."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError, TargetError
from config.passwords import exposed_files
from config.settings import Settings
from config.sources import SourceSpec, resolve_sources
from daemon.supervisor import connections
from replicator.checking.checks import Check, Level, Survey, check_meetings
from replicator.checking.source_checks import survey
from replicator.checking.target_checks import SUBJECT, check_target
from replicator.planning.naming import check_renames
from replicator.planning.plan import check_overrides
from replicator.postgres.connections import Target

from .concealment import was_concealed
from .offline import offline_target
from .options import adopt_option, json_option, settings_from, source_options
from .text import plural, to_json

COLOURS = {Level.PASS: "green", Level.WARN: "yellow", Level.FAIL: "red"}


@click.command()
@source_options
@adopt_option
@click.option(
    "--backup",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Make a backup of each source there, and check it.",
)
@json_option
@click.pass_context
def check(
    context: click.Context, /, config: Path | None, backup: Path | None, as_json: bool, **given: Any
) -> None:
    """Tell whether SOURCE... can be moved to the target, and what to do where not.

    SOURCE is a SQLite file, several, or a folder (default: SQLITE_DIR). Changes nothing on either side.
    Every table is read, in short reads beside the application, to see whether its values can be stored as
    they are; `profile = false` in the settings leaves that out. Exit status 0 when nothing fails (warnings
    may be left), 1 when something does. What is looked at: docs/reference/checks.md.
    """
    settings = settings_from(config, **given)
    checks = asyncio.run(_check(settings, resolve_sources(settings), backup))
    click.echo(to_json(_report(checks)) if as_json else "\n".join(describe(checks)))
    context.exit(0 if _ok(checks) else 1)


async def _check(settings: Settings, specs: Sequence[SourceSpec], backup: Path | None) -> list[Check]:
    async with _adopting(settings) as filled:
        surveys = [await survey(spec, settings, backup, filled) for spec in specs]
    checks = [found for one in surveys for found in one.checks] + check_meetings(surveys)
    checks += check_settings(surveys, settings) + check_secrets(settings)
    if settings.target is None:
        hint = "give it with --target or DATABASE_URL"
        return [*checks, Check("connection", Level.WARN, SUBJECT, "no target was given: not looked at", hint)]
    most = connections(settings, len(specs))
    adopt = settings.existing_tables == "adopt"
    target = Target(settings.target_url(), size=1, pooler=settings.pooler)
    return [*checks, *await check_target(target, surveys, most, adopt=adopt)]


@asynccontextmanager
async def _adopting(settings: Settings) -> AsyncIterator[Target | None]:
    """Lend a target whose tables are to be filled as they are; None where there is none that can be asked."""
    async with AsyncExitStack() as stack:
        target = None
        if settings.target is not None and settings.existing_tables == "adopt":
            # one that is away, or refuses us, is told of when it is looked at itself
            with suppress(TargetError):
                target = await stack.enter_async_context(offline_target(settings))
        yield target


def check_settings(surveys: Sequence[Survey], settings: Settings) -> list[Check]:
    """Look for settings of tables and columns that are in none of the sources."""
    if not all(survey.structure for survey in surveys):
        return []  # one that could not be read may have them
    tables = [table for survey in surveys for table in survey.structure]
    found = []
    try:
        check_overrides(tables, settings.columns)
        check_renames(tables, settings.rename)
    except ConfigError as error:
        found.append(Check("settings", Level.FAIL, "configuration", str(error), error.hint))
    return found


def check_secrets(settings: Settings) -> list[Check]:
    """Look for files with a password that others can read."""
    exposed = exposed_files(settings)
    if exposed:
        text = f"others can read the password: {', '.join(f'{str(p)!r} has mode {m:o}' for p, m in exposed)}"
        hint = "chmod 600; a .pgpass that others can read is not used at all"
        return [Check("secrets", Level.WARN, "configuration", text, hint)]
    if was_concealed():
        text = "the password was given on the command line, which every user of this machine can read"
        hint = "give it by target_password_file, a credential, .pgpass or the environment"
        return [Check("secrets", Level.WARN, "configuration", text, hint)]
    return [Check("secrets", Level.PASS, "configuration", "no file with a password is open to others")]


def _ok(checks: Sequence[Check]) -> bool:
    return all(check.level is not Level.FAIL for check in checks)


def _report(checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "ok": _ok(checks),
        "checks": [
            {"subject": c.subject, "name": c.name, "level": c.level.value, "text": c.text, "hint": c.hint}
            for c in checks
        ],
    }


def describe(checks: Sequence[Check]) -> list[str]:
    """Return findings as lines to read: by subject, the sum of them last."""
    lines: list[str] = []
    width = max(len(check.name) for check in checks)
    for subject in dict.fromkeys(check.subject for check in checks):
        lines.append(f"{subject}")
        for found in checks:
            if found.subject == subject:
                level = click.style(found.level.value, fg=COLOURS[found.level])
                lines.append(f"  {level}  {found.name.ljust(width)}  {found.text}")
                if found.hint and found.level is not Level.PASS:
                    lines.append(f"        {' ' * width}Try: {found.hint}")
        lines.append("")
    return [*lines, _sum(checks)]


def _sum(checks: Sequence[Check]) -> str:
    counts = Counter(check.level for check in checks)
    verdict = "ready to run" if _ok(checks) else "not ready to run"
    passed, warned, failed = (counts[level] for level in Level)
    return f"{verdict}: {passed} passed, {plural(warned, 'warning')}, {plural(failed, 'failure')}"
