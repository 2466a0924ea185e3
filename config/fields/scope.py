"""What is moved."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from config.values import absolute


class Scope(BaseModel):
    """Hold which files and tables are moved."""

    config: Path | None = Field(
        default=None,
        description="The TOML file that holds the settings. Without it, `liteferry.toml` in the working "
        "directory is read if there is one. Not a setting inside the file. Relative paths in the file count "
        "from the file's folder.",
    )
    sources: list[Path] = Field(
        default=[],
        description="SQLite files, and folders whose SQLite files are all taken (`*.db *.sqlite *.sqlite3 "
        "*.db3`). When empty, `sqlite_dir` is taken.",
        examples=[["/srv/app/app.db"]],
    )
    sqlite_dir: Path | None = Field(
        default=None,
        description="The folder with the SQLite files, used when `sources` is empty. `SQLITE_DIR` is "
        "understood as well.",
        examples=["/srv/app/.nomic"],
    )
    exclude: list[str] = Field(
        default=[],
        description="Tables that are not moved, as glob patterns over the table's name.",
        examples=[["cache_*", "sessions"]],
    )
    foreign_keys_enforced: bool = Field(
        default=True,
        description="Whether the application may switch PRAGMA foreign_keys on. Then tables to which a "
        "foreign key refers by columns that are no key cannot be captured, for with any trigger on them "
        "SQLite refuses INSERTs into them. `false` if it never does: nothing is refused.",
    )

    @field_validator("sqlite_dir", "config")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value if value is None else absolute(value)

    @field_validator("sources")
    @classmethod
    def _all_absolute(cls, value: list[Path]) -> list[Path]:
        return [absolute(path) for path in value]
