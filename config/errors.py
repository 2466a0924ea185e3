"""Errors of liteferry.

    LiteferryError
    ├── ConfigError            the settings contradict themselves or name nothing usable
    ├── SourceError            the SQLite side
    │   ├── NotADatabase       the file is missing, empty of meaning, or no SQLite database
    │   ├── Unsupported        a table or a library that cannot be captured
    │   ├── SourceBusy         the write lock could not be had in time (retryable)
    │   ├── SchemaChanged      the application has changed its schema; it is being followed (retryable)
    │   ├── SourceMissing      the file is gone from its place, or another is there (retryable)
    │   ├── SchemaDrift        the source's tables are no longer those of the plan
    │   └── CaptureBroken      triggers or change log are gone or rewound: rows may have been missed
    ├── TargetError            the PostgreSQL side
    │   ├── RowsRefused        PostgreSQL refused rows that look right
    │   ├── TargetAway         no connection, or lost in the middle (retryable)
    │   └── TargetContents     the target holds something that is not ours to touch
    ├── DiskFull               no room for temporary files (retryable)
    ├── ValueRefused           one value cannot arrive equal to what it was
    ├── PositionConflict       another daemon moved the position
    ├── CutoverRefused         a gate is closed; nothing was changed
    ├── CommandRefused         the state does not allow a command; nothing was changed
    └── ControlError           the running daemon cannot be reached or refused the command

`retryable` is decided by class, never by text.
"""

from __future__ import annotations


class LiteferryError(Exception):
    """Base of all; carries a hint that tells the operator what to do."""

    retryable = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def public(self) -> str:
        """Return what may be shown to whoever may not see rows: the status is open to all who can ask."""
        return str(self)


class ConfigError(LiteferryError):
    """The settings contradict themselves, or name something that is not there."""


class SourceError(LiteferryError):
    """Something on the SQLite side is not as it must be."""


class NotADatabase(SourceError):
    """The file is missing, unreadable, or no SQLite database."""


class Unsupported(SourceError):
    """A table, a file or a library version that cannot be captured."""


class SourceBusy(SourceError):
    """The source's lock was held by others for longer than allowed; try again."""

    retryable = True


class SchemaChanged(SourceError):
    """The application has changed its schema since it was looked at; it is followed, then it goes on."""

    retryable = True


class SourceMissing(SourceError):
    """The file that was opened is no longer under its name; goes on when it is back."""

    retryable = True


class SchemaDrift(SourceError):
    """The source's tables are no longer the ones that were planned for."""


class CaptureBroken(SourceError):
    """Triggers or change log are missing or rewound, so changes may have been missed."""


class TargetError(LiteferryError):
    """Something on the PostgreSQL side is not as it must be."""


class TargetAway(TargetError):
    """PostgreSQL cannot be reached, or the connection broke; try again."""

    retryable = True


class TargetContents(TargetError):
    """The target holds objects that are not ours to touch."""


class DiskFull(LiteferryError):
    """There is no room for temporary files; nothing is lost, try again."""

    retryable = True


class ValueRefused(LiteferryError):
    """One value cannot arrive in PostgreSQL equal to what it is in SQLite."""

    def __init__(self, table: str, key: str, column: str, storage_class: str, reason: str) -> None:
        super().__init__(
            f"table {table!r}, key {key}, column {column!r}: a value of type {storage_class} "
            f"cannot be stored: {reason}",
            hint="correct the row in SQLite, or set another type for the column under [columns] "
            "in the configuration, then start liteferry again; it goes on where it stopped",
        )
        self.table, self.key, self.column = table, key, column
        self.storage_class, self.reason = storage_class, reason

    @property
    def public(self) -> str:
        """Return it without the key, which is a part of a row."""
        return (
            f"table {self.table!r}, column {self.column!r}: a value of type {self.storage_class} cannot be "
            "stored; the log names the row"
        )


class RowsRefused(TargetError):
    """PostgreSQL refused rows that look right, without telling which."""


class PositionConflict(LiteferryError):
    """Another process moved this source's position on the target."""


class CutoverRefused(LiteferryError):
    """A gate of the cutover is closed; nothing was changed."""


class CommandRefused(LiteferryError):
    """The state does not allow a command; nothing was changed."""


class ControlError(LiteferryError):
    """The running daemon cannot be reached, or refused the command."""
