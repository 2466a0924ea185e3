"""`python -m bench [NAME...]`: measure, and print a table."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import click

from daemon.embedded import EmbeddedPostgres

from . import catch_up, cutover, latency, machine, memory, profiling, rollback, snapshot, writes
from .figures import Figure, table
from .scale import FULL, QUICK, Scale
from .server import Server

Measure = Callable[[Server, Path, Scale], Awaitable[list[Figure]]]

FAILED = "failed"

BENCHES: dict[str, Measure] = {
    module.BENCH: module.measure
    for module in (snapshot, profiling, catch_up, latency, writes, cutover, rollback, memory)
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[NAME]...", type=click.Choice(list(BENCHES)))
@click.option("--quick", is_flag=True, help="Small sizes, to see that it works; the values mean nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="For the SQLite files."
)
def main(names: Sequence[str], quick: bool, as_json: bool, folder: Path | None) -> None:
    """Measure liteferry against a PostgreSQL of its own and print a table.

    NAME is snapshot, profiling, catch-up, latency, writes, cutover, rollback or memory; all of them when
    none is given. The exit status is 0 whatever the values are (how fast a machine is, is no error), 1 when
    one was not measured.
    """
    machine.use_two_cores()
    told, figures = asyncio.run(_measure(names or list(BENCHES), QUICK if quick else FULL, folder))
    if as_json:
        click.echo(json.dumps({"machine": told, "figures": [f.as_dict() for f in figures]}, indent=2))
    else:
        click.echo(f"{table(figures)}\n\n{machine.line(told)}")
    sys.exit(any(figure.name == FAILED for figure in figures))


async def _measure(
    names: Sequence[str], scale: Scale, folder: Path | None
) -> tuple[dict[str, Any], list[Figure]]:
    figures: list[Figure] = []
    with EmbeddedPostgres() as postgres:
        server = Server(postgres)
        told = await machine.facts(server)
        for name in names:
            click.echo(f"measuring {name} ...", err=True)
            with tempfile.TemporaryDirectory(prefix="liteferry-bench-", dir=folder) as place:
                try:
                    figures += await BENCHES[name](server, Path(place), scale)
                except Exception as error:
                    # an hour of the other figures is worth keeping
                    traceback.print_exc()
                    figures.append(Figure(name, FAILED, None, "", note=f"{type(error).__name__}: {error}"))
    return told, figures


if __name__ == "__main__":
    main()
