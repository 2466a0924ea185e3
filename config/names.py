"""What a setting is called: as a field, in the file, in the environment, and by those who mistype it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

PREFIX = "LITEFERRY_"

# `schema` is taken in pydantic models, so the field has another name than the setting
KEY_OF = {"schema_name": "schema"}
FIELD_OF = {key: field for field, key in KEY_OF.items()}

# names that belong to the application too: asked last, so that they never overrule what was said to liteferry
SHARED_NAMES = {"target": "DATABASE_URL", "sqlite_dir": "SQLITE_DIR"}


def key_of(field: str) -> str:
    """Return the name that the operator knows a field by."""
    return KEY_OF.get(field, field)


def variable_of(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + key_of(field).upper()


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing when no known name resembles *name*."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def mistyped_variables(environ: Mapping[str, str], fields: Iterable[str]) -> dict[str, str]:
    """Return variables that look like a setting's but are none, with the one that was probably meant.

    Only near misses: service managers inject names of their own (`LITEFERRY_SERVICE_HOST` in Kubernetes).
    """
    known = {variable_of(field) for field in fields}
    unknown = [name for name in environ if name.startswith(PREFIX) and name not in known]
    stems = [name.removeprefix(PREFIX) for name in known]
    close = {n: difflib.get_close_matches(n.removeprefix(PREFIX), stems, n=1, cutoff=0.8) for n in unknown}
    return {name: PREFIX + match[0] for name, match in close.items() if match}
