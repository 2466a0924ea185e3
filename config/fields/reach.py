"""How the daemon is reached, and what it says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator

from config.errors import ConfigError
from config.layers import read_password
from config.values import absolute, check_token, parse_address

#: Where the unit's RuntimeDirectory puts the socket.
SERVICE_CONTROL = Path("/run/liteferry/liteferry.sock")

TOKEN_HINT = "make one with `openssl rand -hex 32`"

MAX_SOCKET_PATH_BYTES = 107  # sun_path of Linux holds 108 with the closing zero


def default_control() -> Path:
    """Return where the control socket is when nobody says: under the service manager's run-time folder."""
    # systemd gives a list when a unit has several RuntimeDirectory=
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not folder and os.path.exists(SERVICE_CONTROL):
        return SERVICE_CONTROL  # an operator's shell looks for the daemon that the service manager started
    folder = folder or os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(folder or Path(tempfile.gettempdir()) / f"liteferry-{os.getuid()}") / "liteferry.sock"


def token_in(path: Path, setting: str = "http_token_file") -> str:
    """Return the token in a file. Raises ConfigError for one that is no token, or open to everybody."""
    try:
        return check_token(read_password(path, setting, private=True))
    except ValueError as error:
        raise ConfigError(f"the token in {setting} {str(path)!r} {error}", hint=TOKEN_HINT) from None


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
    http_token: SecretStr | None = Field(
        default=None,
        description="Token with which orders are taken on the TCP address too: pause, throttle, cutover and "
        "all others, as `Authorization: Bearer`. At least 16 characters. Better kept in `http_token_file`. "
        "Without one that address only reads.",
        examples=["write-at-least-16-characters"],
    )
    http_token_file: Path | None = Field(
        default=None,
        description="File whose first line is that token; it must not be open to every user of the machine.",
        examples=["/run/credentials/liteferry.service/http-token"],
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

    @field_validator("http_token_file")
    @classmethod
    def _token_file(cls, value: Path | None) -> Path | None:
        return value if value is None else absolute(value)

    @field_validator("http_token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is None else SecretStr(check_token(value.get_secret_value()))

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
    def token(self) -> str | None:
        """Give the token for orders over TCP, None where there is none."""
        return None if self.http_token is None else self.http_token.get_secret_value()

    def with_token(self) -> Self:
        """Return these settings with the token of `http_token_file`. Raises ConfigError."""
        if self.http_token_file is None:
            return self
        if self.http_token is not None:
            raise ConfigError(
                "http_token and http_token_file are both set: only one of them may give it",
                hint="keep the file",
            )
        return self.model_copy(update={"http_token": SecretStr(token_in(self.http_token_file))})

    @property
    def http_address(self) -> tuple[str, int] | None:
        """Give host and port to listen on, or None when HTTP is switched off."""
        return parse_address(self.http) if self.http else None
