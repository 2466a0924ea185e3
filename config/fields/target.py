"""Where it goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator

from config.errors import ConfigError
from config.layers import read_password
from config.passfile import password_for
from config.secret import check_target, has_password, mask_text, with_password
from config.values import absolute

#: What the password is called where the service manager hands it over: `LoadCredential=target-password:FILE`.
CREDENTIAL = "target-password"


def credential(environ: Mapping[str, str]) -> Path | None:
    """Return the file with the password that the service manager has handed over, if there is one."""
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    file = Path(folder) / CREDENTIAL
    return file if folder and os.path.lexists(file) else None


class Target(BaseModel):
    """Hold which database it goes to, and how to get in."""

    target: SecretStr | None = Field(
        default=None,
        description="URL of the PostgreSQL database. `DATABASE_URL` is understood as well. Keep the password "
        "out of it: see `target_password_file`.",
        examples=["postgresql://liteferry@db.example.org:5432/app"],
    )
    target_password_file: Path | None = Field(
        default=None,
        description="File whose first line is the password for `target`, for example a container secret. A "
        "systemd credential named `target-password` is found without this setting (`LoadCredential=`). It is "
        "an error if the URL has a password too.",
        examples=["/run/secrets/liteferry/password"],
    )

    pooler: Literal["auto", "none", "transaction"] = Field(
        default="auto",
        description="Whether a connection pooler stands before PostgreSQL. With `transaction` nothing is "
        "left in a session, as PgBouncer in transaction mode asks for; that is right for every other pooler "
        "too, and a little slower. `auto` does so where a pooler is met. `none` prepares statements in the "
        "server's session: only for the server itself, or a pooler that lends whole sessions.",
    )

    @field_validator("target")
    @classmethod
    def _url(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is None else SecretStr(check_target(value.get_secret_value()))

    @field_validator("target_password_file")
    @classmethod
    def _password_file(cls, value: Path | None) -> Path | None:
        return value if value is None else absolute(value)

    @property
    def masked_target(self) -> str:
        """Give the target for people to read, without its password; empty when there is none."""
        return mask_text(self.target.get_secret_value()) if self.target else ""

    def target_url(self) -> str:
        """Return the target with its password, to connect with; ConfigError when none was given."""
        if self.target is None:
            raise ConfigError(
                "no target was given",
                hint="give a PostgreSQL URL with --target, DATABASE_URL or `target` in the file",
            )
        return self.target.get_secret_value()

    def completed(self) -> Self:
        """Return these settings with the password in the target: a file's, a credential's or a .pgpass's."""
        if self.target is None:
            return self
        named = self.target_password_file
        file = named or credential(os.environ)
        url = self.target.get_secret_value()
        if file is None:
            looked_up = not has_password(url) and not os.environ.get("PGPASSWORD")
            found = password_for(url) if looked_up else None
            return self.model_copy(update={"target": SecretStr(with_password(url, found))}) if found else self
        if has_password(url):
            what = "target_password_file is set" if named else f"there is a credential {CREDENTIAL!r}"
            raise ConfigError(
                f"target has a password and {what}: only one of them may give it",
                hint="take the password out of the URL",
            )
        password = read_password(file)
        return self.model_copy(update={"target": SecretStr(with_password(url, password))})
