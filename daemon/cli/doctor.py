"""`liteferry doctor`: what is wrong, and all that a bug report needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from config.errors import ConfigError
from config.fields.reach import default_control
from config.settings import Settings, origins
from daemon.doctor import archive
from daemon.doctor.gathering import gather

from .options import control_option, daemon_of, json_option, settings_from
from .text import plural, size, to_json


@click.command()
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="[SOURCE...]")
@click.option("--target", metavar="URL", help="PostgreSQL that it is moved to (default: DATABASE_URL).")
@control_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.tar.gz",
    help="Write everything to an archive that can be sent, readable for its owner alone.",
)
@click.option("--redact-names", is_flag=True, help="Replace the names of tables and columns by hashes.")
@json_option
@click.pass_context
def doctor(
    context: click.Context,
    /,
    config: Path | None,
    control: Path | None,
    out: Path | None,
    redact_names: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Tell what is wrong and what to do first, and gather what a bug report needs.

    Works with the daemon running or not, and with the target away: what cannot be learnt is told. Holds
    versions, settings and where each came from, status, metrics, the state of triggers and change log, the
    files with their modes, programs that have them open, and our bookkeeping on the target. Never a password,
    a row or a key; names of files, tables and columns are in it. SOURCE... and the target need not be given
    where the settings or a running daemon tell them. Exit status 1 when a problem was found.
    """
    where = {**given, "control": control}
    document, metrics = asyncio.run(_gathered(config, where, redact_names=redact_names))
    if out is not None:
        name = f"liteferry-doctor-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        texts = {"metrics.txt": metrics, "problems.txt": "\n".join(describe(document)) + "\n"}
        written = archive.write(out, name, document, texts)
        click.echo(f"{out}: {size(written)}; look through it before it is sent", err=as_json)
    click.echo(to_json({**document, "metrics": metrics}) if as_json else "\n".join(describe(document)))
    context.exit(1 if document["problems"] else 0)


async def _gathered(
    config: Path | None, given: Mapping[str, Any], *, redact_names: bool
) -> tuple[dict[str, Any], str]:
    settings: Settings | ConfigError
    try:
        settings = settings_from(config, **given)
    except ConfigError as error:
        socket = given["control"] or default_control()
        return await gather(error, None, socket, redact_names=redact_names)
    said = origins(config, **{name: value for name, value in given.items() if value})
    where = daemon_of(config, given["control"])
    return await gather(settings, said, where, redact_names=redact_names)


def describe(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong as lines to read, urgent things first."""
    found = document["problems"]
    if not found:
        return ["no problem was found"]
    return [*(line for one in found for line in _problem(one)), plural(len(found), "problem")]


def _problem(one: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'URGENT  ' if one['urgent'] else ''}{one['subject']}: {one['what']}"
    yield f"  Do: {one['do']}"
    yield ""
