"""The reference of all settings, written from the fields themselves.

Written anew by `python -m config.reference settings > docs/reference/settings.md` and
`python -m config.reference example > liteferry.example.toml`; a test fails when they are stale.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from .layers import MAPS, NOT_IN_FILE
from .names import SHARED_NAMES, key_of, variable_of
from .reload import CHANGEABLE
from .settings import Settings
from .values import Unit, format_duration

SECTIONS: dict[str, tuple[str, ...]] = {
    "What is moved": ("sources", "sqlite_dir", "exclude"),
    "Where it goes": (
        "target",
        "target_password_file",
        "pooler",
        "schema_name",
        "names",
        "existing_tables",
        "leave_out",
        "profile",
        "profile_rows",
    ),
    "How much at once": (
        "batch_size",
        "parallel",
        "lane_rows",
        "batch_memory_mb",
        "read_slice_ms",
        "read_slice_ms_rollback",
    ),
    "How far the copy holds itself back": (
        "throttle_rows_per_second",
        "throttle_wal_mb",
        "throttle_write_latency_ms",
    ),
    "How often": (
        "poll_interval",
        "heartbeat_interval",
        "prune_interval",
        "prune_batch",
        "on_schema_change",
        "compact_entries",
        "lock_hold_ms",
        "on_bad_value",
        "on_type_drift",
        "drift_interval",
        "foreign_keys_enforced",
        "compare_interval",
        "recheck_interval",
        "watch_interval",
    ),
    "Limits": (
        "install_timeout",
        "max_pause",
        "cutover_check",
        "ready_max_pending",
        "ready_max_age",
        "verify_max_age",
        "verification_reports",
        "wal_warn_mb",
        "disk_min_free_mb",
        "disk_critical_mb",
        "on_disk_critical",
        "shutdown_timeout",
    ),
    "How it is reached, and what it says": (
        "config",
        "control",
        "http",
        "http_token_file",
        "http_token",
        "log_level",
        "log_format",
    ),
    "Around the cutover": ("hook_timeout", "indexes_after_cutover"),
    "Single files, tables and columns": ("schema_map", "prefix_map", "rename", "columns", "bad_values"),
    "Commands at its turns": ("hooks",),
}

_HEAD = """\
# Settings

<!-- written by `python -m config.reference settings`; change config/settings.py instead -->

Every setting can stand in one TOML file, in an environment variable, and (the common ones) on the command
line. Where several say something, the first of these wins:

1. the command line,
2. the variables that begin with `LITEFERRY_`,
3. the file: the one named by `--config` or `LITEFERRY_CONFIG`, else `liteferry.toml` in the working
   directory,
4. `DATABASE_URL` and `SQLITE_DIR`, which belong to the application too and so never overrule the others.
   A `DATABASE_URL` that is no PostgreSQL URL is passed over,
5. the default.

A table such as `schema_map` is joined entry by entry; any other setting is replaced as a whole.

- **Durations** are text such as `"500ms"`, `"5s"`, `"1m"`, `"1m30s"`, or a bare number of seconds.
- **Lists** in variables are separated by commas, or are a JSON array: `LITEFERRY_EXCLUDE=cache_*,sessions`.
- **Tables** in variables are `NAME=VALUE` separated by commas, or a JSON object:
  `LITEFERRY_SCHEMA_MAP=app.db=app,audit.db=audit`. In the file, names with a dot stand in quotes.
- **Paths** in the file count from the file's folder, others from the working directory; `~` is the home
  folder.
- An empty variable counts as not set, but for `LITEFERRY_HTTP`, where it switches HTTP off.

A setting that is unknown or out of range is an error before anything is opened.

`systemctl reload liteferry`, or SIGHUP, has the file read again. What says "at a reload" below is changed
while the daemon runs; a change of anything else is refused, with an error in the log and a notice in the
status, and is taken at the next start. A file with an error in it changes nothing. The command line and the
variables of the process stay what they were, and still go over the file.
"""

_EXAMPLE_HEAD = """\
# Settings of liteferry: each with its default, switched off. Take away the "#" in front of one to change it.
# Written by `python -m config.reference example`; described in docs/reference/settings.md.
# The environment (LITEFERRY_BATCH_SIZE=...) and the command line go over this file.
"""


def settings_markdown() -> str:
    """Return the page that describes every setting."""
    parts = [_HEAD]
    for title, fields in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [_entry(name, Settings.model_fields[name]) for name in fields]
    return "".join(parts)


def example_toml() -> str:
    """Return a configuration file with every setting as a comment."""
    parts = [_EXAMPLE_HEAD]
    for title, fields in SECTIONS.items():
        parts.append(f"\n\n# --- {title} ---\n")
        parts += [_example(name, Settings.model_fields[name]) for name in fields if name not in NOT_IN_FILE]
    return "".join(parts)


def default_text(field: FieldInfo) -> str:
    """Return a field's default as it would stand in the file; empty when unset."""
    if field.default_factory is not None or field.default is None:
        return ""
    if unit_of(field) == "duration":
        return json.dumps(format_duration(field.default))
    return _toml(field.default)


def unit_of(field: FieldInfo) -> str:
    """Return in what a field is measured, or of what kind it is."""
    unit = next((mark.name for mark in field.metadata if isinstance(mark, Unit)), None)
    return unit or _KINDS.get(str(field.annotation), "text")


_KINDS = {
    str(annotation): kind
    for annotation, kind in (
        (bool, "true or false"),
        (Path, "path"),
        (Path | None, "path"),
        (SecretStr | None, "URL"),
        (list[Path], "list of paths"),
        (list[str], "list of text"),
    )
}


def _entry(name: str, field: FieldInfo) -> str:
    variables = ", ".join(f"`{v}`" for v in (variable_of(name), SHARED_NAMES.get(name)) if v)
    facts = [f"- kind: {_kind(name, field)}", f"- default: {_default(field)}", f"- variable: {variables}"]
    facts.append(f"- changed: {'at a reload' if name in CHANGEABLE else 'at the next start'}")
    examples = [f"- example: `{_assignment(name, field.examples[0])}`"] if field.examples else []
    return "\n".join([f"\n### {key_of(name)}\n", f"{field.description}\n", *facts, *examples, ""])


def _kind(name: str, field: FieldInfo) -> str:
    if name == "http_token":
        return "text"
    if name in MAPS:
        return "table of text"
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(f"`{choice}`" for choice in choices)
    unit = unit_of(field)
    limits = {
        bound: getattr(mark, bound)
        for mark in field.metadata
        for bound in ("ge", "le")
        if hasattr(mark, bound)
    }
    if not limits:
        return unit
    shown = {bound: format_duration(v) if unit == "duration" else f"{v:,}" for bound, v in limits.items()}
    return f"{unit}, {shown['ge']} to {shown['le']}" if "le" in shown else f"{unit}, at least {shown['ge']}"


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    text = default_text(field)
    return f"`{text}`" if text else "none"


def _example(name: str, field: FieldInfo) -> str:
    facts = f"{_kind(name, field)}; default: {_default(field)}"
    comment = _comment(str(field.description)) + _comment(facts)
    value = field.examples[0] if field.examples else None
    if name in MAPS:
        entries = "".join(f"#{json.dumps(key)} = {json.dumps(text)}\n" for key, text in (value or {}).items())
        return f"\n{comment}#[{name}]\n{entries}"
    return f"\n{comment}#{key_of(name)} = {default_text(field) or _toml(value)}\n"


def _comment(text: str) -> str:
    lines = textwrap.wrap(text.replace("`", ""), width=106, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _assignment(name: str, value: Any) -> str:
    return f"{key_of(name)} = {_toml(value)}"


def _toml(value: Any) -> str:
    """Return *value* as TOML: JSON is TOML for text, numbers, booleans and flat lists."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{json.dumps(name)} = {json.dumps(text)}" for name, text in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    return json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(example_toml() if sys.argv[1:] == ["example"] else settings_markdown())
