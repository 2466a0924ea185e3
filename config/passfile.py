"""Passwords in a `.pgpass`, by libpq's rules; the driver's own reading of it does not undo the escapes."""

from __future__ import annotations

import getpass
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

#: What a connection is looked up by: host, port, database, user.
Place = tuple[str, str, str, str]


def passfile(url: str) -> Path:
    """Return the file in which passwords are looked up for a URL without one."""
    named = parse_qs(urlsplit(url).query).get("passfile", [os.environ.get("PGPASSFILE", "")])[-1]
    return Path(named).expanduser() if named else Path("~/.pgpass").expanduser()


def password_for(url: str) -> str | None:
    """Return the password that the file has for a URL; None without one, or when others can read the file."""
    path = passfile(url)
    try:
        if not path.is_file() or stat.S_IMODE(path.stat().st_mode) & 0o077:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return next(filter(None, (look_up(text, place) for place in places(url))), None)


def look_up(text: str, place: Place) -> str | None:
    """Return the password of the first line that fits a place; pure."""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        fields = _fields(line)
        if len(fields) < 5:
            continue
        if all(said in ("*", wanted) for said, wanted in zip(fields[:4], place, strict=True)):
            return fields[4] or None
    return None


def places(url: str) -> Iterator[Place]:
    """Yield where a URL leads: one place for each of its hosts."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)

    def said(name: str, variable: str, otherwise: str) -> str:
        return query.get(name, [os.environ.get(variable) or otherwise])[-1]

    login, at, hosts = parts.netloc.rpartition("@")
    user = unquote(login.partition(":")[0]) if at else ""
    user = user or said("user", "PGUSER", "") or getpass.getuser()
    database = unquote(parts.path.removeprefix("/")) or said("dbname", "PGDATABASE", user)
    port = said("port", "PGPORT", "5432")
    for host in (hosts or said("host", "PGHOST", "localhost")).split(","):
        name, _, own = host.rpartition(":") if re.search(r":\d*$", host) else (host, "", "")
        name = unquote(name).strip("[]") or said("host", "PGHOST", "localhost")
        yield ("localhost" if name.startswith("/") else name, own or port, database, user)


def _fields(line: str) -> list[str]:
    """Return what stands between colons, a backslash taking the next sign as it is."""
    fields, escaped = [""], False
    for sign in line:
        if escaped or sign not in "\\:":
            fields[-1] += sign
            escaped = False
        elif sign == "\\":
            escaped = True
        elif len(fields) < 5:
            fields.append("")
        else:
            break  # libpq takes the password up to the next colon
    return fields
