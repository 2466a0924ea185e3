"""`liteferry install-service`: the unit, and what it needs on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click

from config.errors import ConfigError
from config.settings import Settings
from config.sources import resolve_sources
from daemon.unit.install import UNITS, remove, texts, write
from daemon.unit.place import place_of, settings_of, troubles
from daemon.unit.text import SETTINGS, Name

#: What stands between "liteferry@" and ".service" without being escaped.
NAMES = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@click.command("install-service")
@click.option("--name", metavar="NAME", help="One of several migrations on this machine: liteferry@NAME.")
@click.option("--user", metavar="USER", help="Who it runs as (default: the owner of the SQLite files).")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with the settings (default: /etc/liteferry/liteferry.toml, or NAME.toml).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=UNITS,
    show_default=True,
    help="Folder to write to.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be written, and write nothing.")
@click.option("--remove", "removing", is_flag=True, help="Take the files away again.")
@click.pass_context
def install_service(
    context: click.Context,
    /,
    name: str | None,
    user: str | None,
    config: Path | None,
    out: Path,
    dry_run: bool,
    removing: bool,
) -> None:
    """Write the unit for systemd, with the user and the folders that the settings lead to.

    The service runs as the owner of the SQLite files, may write to their folders and nowhere else, and sees
    nothing of /home but what it needs. Whether that user can read the settings, write to the files and make
    others beside them is looked at first; exit status 1, and nothing is written, when it cannot. A password
    in /etc/liteferry/liteferry.password (NAME.password) is handed over as a credential. Only what the
    settings file and /etc/liteferry/liteferry.env (NAME.env) say counts, nothing of this shell.
    """
    if name is not None and not NAMES.fullmatch(name):
        raise click.UsageError(f"--name {name!r} must be letters, digits, '.', '_' or '-'")
    service = Name(name)
    if removing:
        return _remove(service, out)
    file = Path(os.path.abspath(config or SETTINGS / f"{service.stem}.toml"))
    settings, program = settings_of(file, service), _program()
    place = place_of(file, service, settings, user, program)
    found = troubles(place, file, [spec.path for spec in resolve_sources(settings)], settings)
    for what in found:
        click.echo(f"Error: {what}", err=True)
    if found and not dry_run:
        context.exit(1)
    wanted = texts(service, place, program)
    if dry_run:
        for part, text in wanted.items():
            click.echo(f"# {out / part}\n{text}")
        context.exit(1 if found else 0)
    for path in write(out, wanted):
        click.echo(f"written: {path}")
    click.echo("\n".join(_next(service, program, settings)))


def _remove(service: Name, out: Path) -> None:
    if out == UNITS and _is_active(service):
        raise ConfigError(
            f"{service.unit} is running", hint=f"systemctl disable --now {service.unit}, then try again"
        )
    gone = remove(out, service)
    for path in gone:
        click.echo(f"removed: {path}")
    click.echo("Next:\n  systemctl daemon-reload" if gone else f"there is nothing of {service.unit} in {out}")


def _is_active(service: Name) -> bool:
    systemctl = shutil.which("systemctl")
    return (
        systemctl is not None
        and not subprocess.run([systemctl, "--quiet", "is-active", service.unit]).returncode
    )


def _program() -> Path:
    """Return this very program, by the path that the service runs it by."""
    beside = Path(sys.executable).with_name("liteferry")
    if not beside.exists():
        raise ConfigError(
            f"there is no program {str(beside)!r}",
            hint="install liteferry, with pip into an environment of its own",
        )
    return beside


def _next(service: Name, program: Path, settings: Settings) -> list[str]:
    lines = ["Next:", "  systemctl daemon-reload", f"  systemctl enable --now {service.unit}"]
    lines += [f"  systemctl status {service.unit}", f"  {program} status --control {service.socket}"]
    if service.instance is not None and settings.http == type(settings).model_fields["http"].default:
        lines.append(f"Give each instance an address of its own: `http` is {settings.http}, as everywhere.")
    return lines
