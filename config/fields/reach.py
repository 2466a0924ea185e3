"""How the daemon is reached, and what it says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from config.values import absolute, parse_address

#: Where the unit's RuntimeDirectory puts the socket.
SERVICE_CONTROL = Path("/run/liteferry/liteferry.sock")

MAX_SOCKET_PATH_BYTES = 107  # sun_path of Linux holds 108 with the closing zero


def default_control() -> Path:
    """Return where the control socket is when nobody says: under the service manager's run-time folder."""
    # systemd gives a list when a unit has several RuntimeDirectory=
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not folder and os.path.exists(SERVICE_CONTROL):
        return SERVICE_CONTROL  # an operator's shell looks for the daemon that the service manager started
    folder = folder or os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(folder or Path(tempfile.gettempdir()) / f"liteferry-{os.getuid()}") / "liteferry.sock"


class Reach(BaseModel):
    """Hold the socket, the address and the log."""

    control: Path = Field(
        default_factory=default_control,
        description="Unix socket that the other commands speak to the daemon through.",
        examples=["/run/liteferry/liteferry.sock"],
        json_schema_extra={
            "default": "`$RUNTIME_DIRECTORY/liteferry.sock` under systemd, else "
            "`/run/liteferry/liteferry.sock` if there is one, else `$XDG_RUNTIME_DIR/liteferry.sock`, else "
            "`liteferry-<uid>/liteferry.sock` in the folder for temporary files"
        },
    )
    http: str = Field(
        default="127.0.0.1:8321",
        description="HOST:PORT of the dashboard, the HTTP API and the metrics. Empty switches them off.",
        examples=["0.0.0.0:8321"],
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="Form of the log on standard error; `auto`: `console` on a terminal, else `json`.",
    )

    @field_validator("control")
    @classmethod
    def _socket(cls, value: Path) -> Path:
        path = absolute(value)
        if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            raise ValueError(f"must be a path of at most {MAX_SOCKET_PATH_BYTES} bytes, as sockets require")
        return path

    @field_validator("http")
    @classmethod
    def _address(cls, value: str) -> str:
        if value:
            parse_address(value)
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def http_address(self) -> tuple[str, int] | None:
        """Give host and port to listen on, or None when HTTP is switched off."""
        return parse_address(self.http) if self.http else None
