"""What may be wrong with TLS to the target, in words."""

from __future__ import annotations

import os
import ssl
from urllib.parse import parse_qs, urlsplit

from config.errors import TargetError

HINT = (
    "check sslmode, sslrootcert, sslcert and sslkey of the URL, and the server's certificate: "
    "docs/howto/tls.md"
)

#: libpq's parameters that name files, with the variables that stand in for them.
FILES = {
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
}


def refuse_unreadable(url: str) -> None:
    """Raise TargetError for a certificate, a key or a list that is named and cannot be read."""
    query = parse_qs(urlsplit(url).query)
    for name, variable in FILES.items():
        path = query.get(name, [os.environ.get(variable, "")])[-1]
        if path and not os.access(path, os.R_OK):
            reason = "may not be read by this user" if os.path.exists(path) else "is not there"
            raise TargetError(f"{name} {path!r} {reason}", hint=HINT)


def insecure(error: ssl.SSLError) -> TargetError:
    """Return the error for a line that was not trusted, by either side."""
    reason = getattr(error, "verify_message", "") or error.reason or type(error).__name__
    return TargetError(f"no secure connection to the target: {reason}", hint=HINT)


def missing() -> TargetError:
    """Return the error for a server that talks in the clear only."""
    return TargetError(
        "the target does not speak TLS, which sslmode asks for",
        hint="switch `ssl` on in postgresql.conf; sslmode=disable would send everything in the clear",
    )
