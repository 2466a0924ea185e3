"""All settings of liteferry: one flat model, frozen once loaded.

In falling order of weight: keyword overrides (the command line), `LITEFERRY_*` variables, the TOML file, the
application's own `DATABASE_URL` and `SQLITE_DIR`, the defaults. Nothing is opened here but the configuration
file and the file with the password.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from . import layers
from .errors import ConfigError
from .names import SHARED_NAMES, variable_of
from .problems import Given, in_words
from .secret import check_target, has_password, mask_text, with_password
from .values import (
    Duration,
    Unit,
    check_column,
    check_name,
    check_prefix,
    check_schema_name,
    check_type,
    parse_address,
)

#: Where the unit's RuntimeDirectory puts the socket.
SERVICE_CONTROL = Path("/run/liteferry/liteferry.sock")

MAX_SOCKET_PATH_BYTES = 107  # sun_path of Linux holds 108 with the closing zero

SchemaName = Annotated[str, AfterValidator(check_schema_name)]
ColumnName = Annotated[str, AfterValidator(check_column)]
TypeName = Annotated[str, AfterValidator(check_type)]
TargetName = Annotated[str, AfterValidator(check_name)]
Prefix = Annotated[str, AfterValidator(check_prefix)]


def default_control() -> Path:
    """Return where the control socket is when nobody says: under the service manager's run-time folder."""
    # systemd gives a list when a unit has several RuntimeDirectory=
    folder = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not folder and os.path.exists(SERVICE_CONTROL):
        return SERVICE_CONTROL  # an operator's shell looks for the daemon that the service manager started
    folder = folder or os.environ.get("XDG_RUNTIME_DIR", "")
    return Path(folder or Path(tempfile.gettempdir()) / f"liteferry-{os.getuid()}") / "liteferry.sock"


class Settings(BaseSettings):
    """Hold every setting; `load` makes one, with the layers applied and errors put into words."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, case_sensitive=True
    )

    config: Path | None = Field(
        default=None,
        description="The TOML file that holds the settings. Without it, `liteferry.toml` in the working "
        "directory is read if there is one. Not a setting inside the file. Relative paths in the file count "
        "from the file's folder.",
    )

    # what is moved
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

    # where it goes
    target: SecretStr | None = Field(
        default=None,
        description="URL of the PostgreSQL database. `DATABASE_URL` is understood as well. Keep the password "
        "out of it: see `target_password_file`.",
        examples=["postgresql://liteferry@db.example.org:5432/app"],
    )
    target_password_file: Path | None = Field(
        default=None,
        description="File whose first line is the password for `target`, for example a systemd credential "
        "(`/run/credentials/liteferry.service/target-password`) or a container secret. It is an error if the "
        "URL has a password too.",
        examples=["/run/credentials/liteferry.service/target-password"],
    )
    schema_name: SchemaName | None = Field(
        default=None,
        description="Schema of the target that all sources go to unless `schema_map` says otherwise. When "
        "unset: `public` for one source; for several, one schema each, named after the file.",
        examples=["app"],
    )
    names: Literal["exact", "lower", "snake"] = Field(
        default="exact",
        description="What tables and columns are called on the target. `exact`: as in the source, so that "
        "names with capitals or spaces stand in quotes ever after. `lower`: as PostgreSQL reads a name "
        "without quotes. `snake`: `OrderDetails`, `Order Details` and `order-details` become "
        "`order_details`. Two that would be one are an error before anything is touched. What is on the "
        "target already keeps its name.",
    )
    profile: bool = Field(
        default=True,
        description="Look at the values in every column before planning, so that types fit what is stored "
        "and not only what is declared. Reads each table once.",
    )
    profile_rows: Annotated[int, Unit("rows")] = Field(
        default=0,
        ge=0,
        description="Look at so many rows of each table only, the first ones; 0: at all of them. A value "
        "further back that the type does not hold then stops the copy instead of deciding the type.",
    )

    # how fast
    batch_size: Annotated[int, Unit("rows")] = Field(
        default=10_000, ge=100, le=1_000_000, description="Rows per COPY chunk of the first copy."
    )
    parallel: Annotated[int, Unit("tables")] = Field(
        default=4,
        ge=1,
        le=32,
        description="Tables copied at the same time; each takes one connection to the target.",
    )
    lane_rows: Annotated[int, Unit("rows")] = Field(
        default=250_000,
        ge=1_000,
        description="A table of at least that many rows is copied by processes of its own, as many at once "
        "as there are cores (and `parallel` allows), in lanes of about that many rows each. Smaller tables, "
        "and all tables of a source in rollback-journal mode, are copied by the daemon itself.",
    )
    batch_memory_mb: Annotated[int, Unit("MiB")] = Field(
        default=16,
        ge=1,
        le=4096,
        description="Memory that the rows of one batch may take before they are sent on.",
    )
    read_slice_ms: Annotated[int, Unit("ms")] = Field(
        default=50,
        ge=1,
        le=5000,
        description="Longest read transaction of the first copy on a source in WAL mode. Longer ones let the "
        "WAL grow, which slows the application's commits.",
    )
    read_slice_ms_rollback: Annotated[int, Unit("ms")] = Field(
        default=5,
        ge=1,
        le=1000,
        description="The same in rollback-journal mode, where the application's writers wait for it.",
    )

    # rhythm
    poll_interval: Duration = Field(
        default=0.05,
        ge=0.001,
        le=60,
        description="Wait between looks at a source when no file event wakes us.",
    )
    heartbeat_interval: Duration = Field(
        default=5,
        ge=0.1,
        le=3600,
        description="Time between heartbeats, written to a source to time the whole trip.",
    )
    prune_interval: Duration = Field(
        default=5,
        ge=0.1,
        le=3600,
        description="Time between removals of change-log entries that the target has.",
    )
    prune_batch: Annotated[int, Unit("entries")] = Field(
        default=1000,
        ge=10,
        le=100_000,
        description="Most entries removed per transaction; ten thousand hold the source's write lock for "
        "2 ms. Fewer where they take longer than `lock_hold_ms`.",
    )
    compact_entries: Annotated[int, Unit("entries")] = Field(
        default=50_000,
        ge=100,
        description="Entries waiting for the target, for some seconds at least, from which on those that a "
        "newer one of the same key has made superfluous are removed. The change log then holds at most about "
        "twice as many entries as there are changed rows, and twice this many more.",
    )
    lock_hold_ms: Annotated[int, Unit("ms")] = Field(
        default=5,
        ge=1,
        le=100,
        description="How long one removal may hold the source's write lock; the number of entries adapts "
        "to it. Between two of them others have at least twice as long.",
    )
    on_schema_change: Literal["follow", "halt"] = Field(
        default="follow",
        description="What to do when the application changes its schema. `follow`: the target's tables are "
        "changed likewise, triggers are put in again, and what may have been missed is read again. `halt`: "
        "the daemon ends with an error that names the table.",
    )
    on_bad_value: Literal["quarantine", "halt"] = Field(
        default="quarantine",
        description="What to do with a row that PostgreSQL cannot hold as it is: a text with NUL or not in "
        "UTF-8, a value of another type than the column's. `quarantine`: the row is kept aside with the "
        "reason, the others go on, and a cutover waits until the row is right or its absence accepted. "
        "`halt`: the daemon ends with an error that names table, key and column.",
    )
    drift_interval: Duration = Field(
        default=2,
        ge=0.1,
        le=3600,
        description="Time between checks that a source's tables and triggers are those of the plan.",
    )
    foreign_keys_enforced: bool = Field(
        default=True,
        description="Whether the application may switch PRAGMA foreign_keys on. Then tables to which a "
        "foreign key refers by columns that are no key cannot be captured, for with any trigger on them "
        "SQLite refuses INSERTs into them. `false` if it never does: nothing is refused.",
    )
    compare_interval: Duration = Field(
        default=86_400,
        ge=0,
        le=31_536_000,
        description="Time between background comparisons of all rows with the target's, at leisure while it "
        "streams; what differs is repaired. There is one after each start too, for nobody has watched while "
        "the daemon was down. 0: only when something was seen that may have changed rows without firing a "
        "trigger.",
    )
    watch_interval: Duration = Field(
        default=10,
        ge=0.1,
        le=3600,
        description="Time between looks at the free disk space and the size of the WAL.",
    )

    # limits
    install_timeout: Duration = Field(
        default=60,
        ge=0.1,
        le=3600,
        description="How long the installation of triggers keeps asking for a source's write lock.",
    )
    max_pause: Duration = Field(
        default=5,
        ge=0.01,
        le=3600,
        description="Longest time that a cutover may keep the application's writers waiting. Over it, the "
        "cutover is undone and streaming goes on.",
    )
    ready_max_pending: Annotated[int, Unit("changes")] = Field(
        default=1000, ge=0, description="Changes not yet on the target with which a cutover may still begin."
    )
    ready_max_age: Duration = Field(
        default=5,
        ge=0,
        le=3600,
        description="Age of the oldest such change with which a cutover may still begin.",
    )
    wal_warn_mb: Annotated[int, Unit("MiB")] = Field(
        default=256, ge=1, description="Size of a source's WAL file from which on a warning is given."
    )
    disk_min_free_mb: Annotated[int, Unit("MiB")] = Field(
        default=512,
        ge=0,
        description="Free space beside a source below which a warning is given, no heartbeats are written "
        "and no cutover begins.",
    )
    disk_critical_mb: Annotated[int, Unit("MiB")] = Field(
        default=64,
        ge=0,
        description="Free space beside a source below which `on_disk_critical` applies. 0: never.",
    )
    on_disk_critical: Literal["keep", "uninstall"] = Field(
        default="keep",
        description="What is done when the space is that short. `keep` logs an error and keeps the capture: "
        "the migration survives, and the change log grows with the application's writes. `uninstall` takes "
        "the triggers and the log out of the source and ends the daemon: the application has the space, the "
        "migration must start afresh.",
    )
    shutdown_timeout: Duration = Field(
        default=10,
        ge=0.1,
        le=600,
        description="How long the batch in hand may take to finish when told to stop.",
    )

    # how it is reached and what it says
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

    # tables come last, as they do in TOML
    schema_map: dict[str, SchemaName] = Field(
        default={},
        description="Schema for single sources: the file's name, its stem or its whole path, and the schema.",
        examples=[{"app.db": "app", "audit": "audit_log"}],
    )
    prefix_map: dict[str, Prefix] = Field(
        default={},
        description="Prefix for the tables of single sources, so that files with tables of the same name can "
        "go to one schema: the file's name, its stem or its whole path, and the prefix.",
        examples=[{"app.db": "app_", "audit": "audit_"}],
    )
    rename: dict[str, TargetName] = Field(
        default={},
        description='Name on the target for single tables (`"table"`) and columns (`"table.column"`), in '
        "the spelling of the source, over the one that `names` would give. The prefix of `prefix_map` stands "
        "before that of a table as well. `docs/howto/names.md` tells when names must be given.",
        examples=[{"Order Details": "order_lines", "users.e-mail": "email"}],
    )
    columns: dict[ColumnName, TypeName] = Field(
        default={},
        description="PostgreSQL type for single columns, over the one that would be chosen, with the way "
        "in which values become it. `docs/howto/types.md` lists what each takes.",
        examples=[{"orders.total": "numeric", "events.at": "timestamptz from epoch_ms"}],
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the layers; the file is the one that the keyword `config` names."""
        own = {field: variable_of(field) for field in cls.model_fields if field != "config"}
        config = init_settings().get("config")
        file = (layers.TomlFile(settings_cls, Path(config)),) if config else ()
        shared = layers.Environment(settings_cls, SHARED_NAMES)
        return init_settings, layers.Environment(settings_cls, own), *file, shared

    @field_validator("target")
    @classmethod
    def _target(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is None else SecretStr(check_target(value.get_secret_value()))

    @field_validator("http")
    @classmethod
    def _http(cls, value: str) -> str:
        if value:
            parse_address(value)
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("config", "sqlite_dir", "target_password_file", "control")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return value if value is None else Path(os.path.abspath(value.expanduser()))

    @field_validator("sources")
    @classmethod
    def _homes(cls, value: list[Path]) -> list[Path]:
        return [Path(os.path.abspath(path.expanduser())) for path in value]

    @field_validator("control")
    @classmethod
    def _short(cls, value: Path) -> Path:
        if len(os.fsencode(value)) > MAX_SOCKET_PATH_BYTES:
            raise ValueError(f"must be a path of at most {MAX_SOCKET_PATH_BYTES} bytes, as sockets require")
        return value

    @property
    def http_address(self) -> tuple[str, int] | None:
        """Give host and port to listen on, or None when HTTP is switched off."""
        return parse_address(self.http) if self.http else None

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

    def _completed(self) -> Self:
        """Return these settings with the password of `target_password_file` in the target."""
        if self.target_password_file is None or self.target is None:
            return self
        url = self.target.get_secret_value()
        if has_password(url):
            raise ConfigError(
                "target has a password and target_password_file is set: only one of them may give it",
                hint="take the password out of the URL",
            )
        password = layers.read_password(self.target_password_file)
        return self.model_copy(update={"target": SecretStr(with_password(url, password))})


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Read, check and freeze the settings; ConfigError names the setting, its value and the rule it broke.

    *overrides* are settings by name (`schema` or `schema_name`); None and empty lists count as not given.
    """
    file = layers.find_file(config, os.environ)
    given = layers.prepare_overrides(overrides)
    try:
        settings = Settings(**{**given, "config": file} if file else given)
    except ValidationError as error:
        # not chained: the original carries the values, passwords among them
        in_file = layers.TomlFile(Settings, file)() if file else ()
        raise in_words(error, Given(given, in_file, file), Settings.model_fields) from None
    return settings._completed()
