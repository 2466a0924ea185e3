"""`liteferry demo`: the whole way of a small application, to be watched."""

from __future__ import annotations

import asyncio
import sys

import click

from daemon.demo.driver import demonstrate
from daemon.demo.screen import Screen
from daemon.demo.story import Options


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=10,
    show_default=True,
    help="Time of streaming before the cutover.",
)
@click.option(
    "--rate",
    type=click.FloatRange(1, 10_000),
    default=400,
    show_default=True,
    help="Transactions per second of the application.",
)
@click.option(
    "--size",
    type=click.FloatRange(0.01, 100),
    default=1,
    show_default=True,
    help="How many rows to begin with: 1 is 160,000.",
)
@click.option(
    "--keep", is_flag=True, help="Leave PostgreSQL and the daemon running at the end, and keep the files."
)
@click.option(
    "--target",
    metavar="URL",
    help="Use this PostgreSQL, in a database made for the demonstration, instead of starting one.",
)
def demo(seconds: float, rate: float, size: float, keep: bool, target: str | None) -> None:
    """Move a small live application to PostgreSQL, and watch it.

    Starts a PostgreSQL of its own, a shop that writes to a SQLite file, and the daemon; copies, streams,
    verifies, rehearses, cuts over while the shop writes, and compares both sides row by row. Nothing is left
    behind. It takes about half a minute.

    \b
    Exit status: 0 all was right; 1 something was not, the last line says what.
    """
    sys.exit(asyncio.run(demonstrate(Options(seconds, rate, size, keep, target), Screen())))
