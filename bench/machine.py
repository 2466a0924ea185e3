"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from .server import Server

#: The bars are for two cores, so a larger machine lends no more.
CORES = 2


def use_two_cores() -> None:
    """Keep this process and all its children, PostgreSQL among them, to two cores where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


async def facts(server: Server) -> dict[str, Any]:
    """Return what a reader needs to judge the figures by."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": usable,
        "processor": _processor(),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": await server.facts(),
        "pgloader": shutil.which("pgloader") is not None,
    }


def line(told: dict[str, Any]) -> str:
    """Return the facts as a line of text."""
    server = dict(told["postgresql"])
    version = server.pop("version")
    settings = ", ".join(f"{name} {value}" for name, value in server.items())
    return (
        f"{told['cores']} cores of {told['processor']} (load {told['load']} at the start), {told['system']}, "
        f"Python {told['python']}, SQLite {told['sqlite']}, PostgreSQL {version} ({settings})"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.machine()
