"""`liteferry run`: the daemon."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

import click
import structlog

from config.names import mistyped_variables
from config.sources import list_sources
from daemon import log, service

from .concealment import was_concealed
from .options import adopt_option, settings_from, source_options

logger = structlog.get_logger("liteferry")


@click.command()
@source_options
@adopt_option
@click.option("--batch-size", type=int, metavar="N", help="Rows per COPY chunk (default: 10000).")
@click.option("--parallel", type=int, metavar="N", help="Tables copied at once (default: 4).")
@click.option("--control", type=click.Path(path_type=Path), help="Control socket to listen on.")
@click.option(
    "--http", metavar="HOST:PORT", help="Dashboard and metrics (default: 127.0.0.1:8321; '' for none)."
)
@click.option("--log-level", help="debug, info, warning or error (default: info).")
def run(config: Path | None, **given: Any) -> None:
    """Move SOURCE... to PostgreSQL: copy, catch up, stream until stopped.

    SOURCE is a SQLite file, several, or a folder (default: SQLITE_DIR). A restart goes on where it was.
    SIGTERM stops cleanly; SIGUSR1 is `liteferry cutover`; SIGHUP reads the settings again.
    """
    read = partial(settings_from, config, **given)
    settings = read()
    log.configure(settings.log_level, settings.log_format)
    for wrong, meant in mistyped_variables(os.environ, type(settings).model_fields).items():
        logger.warning("a variable that is no setting", name=wrong, meant=meant)
    if was_concealed():
        logger.warning(
            "a password on the command line: it was open to every user of this machine for a moment",
            hint="give it by target_password_file, a credential, .pgpass or the environment",
        )
    asyncio.run(service.serve_forever(settings, list_sources(settings), read))
