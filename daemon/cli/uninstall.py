"""`liteferry uninstall`: the source is again as it was."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError, ControlError, SourceError
from config.settings import Settings
from config.sources import SourceSpec, resolve_sources
from daemon.control import ask
from replicator.postgres.connections import Target
from replicator.uninstall import Installed, forget, look, take_out

from .offline import offline_target
from .options import settings_from, source_options
from .text import plural

DANGER = """\
The fence is what keeps the application from writing to SQLite after it has moved to PostgreSQL.
Without it both sides take writes: whatever still uses the file writes where nobody looks any more,
and nothing brings the two together again. Lift it only when PostgreSQL is not used, or no more."""


@click.command()
@source_options
@click.option("--control", type=click.Path(path_type=Path), help="Control socket of the running daemon.")
@click.option("--lift-fence", is_flag=True, help="Also let a source be written again that was cut over.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def uninstall(config: Path | None, lift_fence: bool, yes: bool, **given: Any) -> None:
    """Take change log and triggers out of SOURCE...; its schema is then as it was, byte for byte.

    SOURCE is a SQLite file, several, or a folder (default: SQLITE_DIR). With a target, the tables there are
    opened to everybody and the migration is forgotten; the tables and their rows stay. To migrate again
    starts from the beginning. Stop the daemon first.

    A source that was cut over refuses writes: that is kept, and nothing is changed, unless --lift-fence and
    --yes are given.
    """
    settings = settings_from(config, **given)
    specs = resolve_sources(settings)
    asyncio.run(_refuse_running(settings, specs))
    found = asyncio.run(_look(specs))
    _refuse_fenced(found, lift_fence, yes)
    if not yes and sys.stdin.isatty():
        question = f"Take liteferry out of {plural(len(specs), 'source')}? To migrate again starts afresh"
        click.confirm(question, abort=True, err=True)
    asyncio.run(_uninstall(settings, found, lift_fence))


async def _look(specs: Sequence[SourceSpec]) -> dict[Path, Installed]:
    return {spec.path: await look(spec.path) for spec in specs}


async def _refuse_running(settings: Settings, specs: Sequence[SourceSpec]) -> None:
    """Raise SourceError when a daemon is at work on one of the sources: it would stop with an error."""
    try:
        status = await ask(settings.control, "/api/status")
    except ControlError:
        return
    busy = {source["path"] for source in status["sources"]}
    mine = [str(spec.path) for spec in specs if str(spec.path) in busy]
    # one that is still waiting for its target does not say yet what it will work on
    if mine or not busy:
        what = f"works on {mine[0]!r}" if mine else "is just starting"
        raise SourceError(
            f"a liteferry that listens on {str(settings.control)!r} {what}",
            hint="stop it first (SIGTERM, or `systemctl stop liteferry`); nothing was changed",
        )


def _refuse_fenced(found: dict[Path, Installed], lift_fence: bool, yes: bool) -> None:
    fenced = [str(path) for path, installed in found.items() if installed.fenced]
    if fenced and not lift_fence:
        raise SourceError(
            f"source {fenced[0]!r} is fenced: the application has moved to PostgreSQL; nothing was changed",
            hint="leave it as it is; if PostgreSQL was given up: --lift-fence --yes",
        )
    if fenced and not yes:
        click.echo(DANGER, err=True)
        raise ConfigError(
            f"the fence of {fenced[0]!r} is only lifted when --yes is given as well; nothing was changed"
        )


async def _uninstall(settings: Settings, found: dict[Path, Installed], lift_fence: bool) -> None:
    """Do the target's side first: the id by which it knows a source goes with the triggers."""
    if settings.target is not None:
        async with offline_target(settings) as target:
            for path, installed in found.items():
                await _forget(target, path, installed)
    for path, installed in found.items():
        done = await take_out(path, settings.install_timeout, lift_fence=lift_fence)
        lifted = ", the fence lifted" if installed.fenced else ""
        told = (
            f"change log and triggers taken out{lifted}" if done else "there was nothing of liteferry in it"
        )
        click.echo(f"{path}: {told}")
    if settings.target is None and any(installed.source_id for installed in found.values()):
        click.echo("No target was given: its tables stay guarded, and it still remembers the migration.")


async def _forget(target: Target, path: Path, installed: Installed) -> None:
    if installed.source_id is None:
        return
    tables = await forget(target, installed.source_id, path)
    if tables is None:
        click.echo(f"{path}: this target does not know it")
    else:
        click.echo(f"{path}: forgotten by the target; {plural(tables, 'table')} stay there, open to writes")
