"""PostgreSQL URLs and the passwords in them: check, complete, mask; pure functions.

No message raised here contains any part of the value: a URL that is malformed usually is so because of
characters in its password.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

MASK = "***"

# greedy up to the last "@" before a space: passwords may hold "@", ":" or "/" that should have been encoded
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.\-]*://[^\s:/?#@]*):[^\s]*@", re.IGNORECASE)
_NAMES = r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|authorization"
_IN_PAIR = re.compile(
    rf"(\b[\w-]*(?:{_NAMES})\b[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|(?:Bearer|Basic)\s+\S+|[^\s&;,\"']+)",
    re.IGNORECASE,
)
_KEY = re.compile(rf"(?:^|[_\-. ])(?:{_NAMES}|credentials?|cookie)$|^pg_?password$", re.IGNORECASE)
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)


def mask_text(text: str) -> str:
    """Return *text* with what looks like a password replaced: in URLs, and after `password=` and its like."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{MASK}@", text)
    return _IN_PAIR.sub(rf"\1{MASK}", text)


def is_secret_name(name: str) -> bool:
    """Tell whether a value under this name is to be hidden whatever it looks like."""
    return _KEY.search(name) is not None


def check_target(url: str) -> str:
    """Return the URL in libpq's form: `postgresql://`, no driver's name (`+asyncpg`) in the scheme."""
    url = url.strip()
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ValueError("must be a PostgreSQL URL, such as postgresql://user@host:5432/database")
    url = "postgresql://" + url[scheme.end() :]
    parts = _split(url)
    if "@" in parts.path or parts.fragment or not _ports_are_numbers(parts.netloc):
        raise ValueError(
            "must be a URL with numeric ports; in a user name or password the characters "
            "@ : / ? # must be percent-encoded (%40 %3A %2F %3F %23)"
        )
    return url


def is_postgres(url: str) -> bool:
    """Tell whether the URL's scheme is one of PostgreSQL's."""
    return _SCHEME.match(url.strip()) is not None


def has_password(url: str) -> bool:
    """Tell whether a checked URL brings its password along."""
    parts = _split(url)
    user, at, _ = parts.netloc.rpartition("@")
    return bool(at and ":" in user) or re.search(r"(?:^|&)password=", parts.query) is not None


def without_secrets(url: str) -> str:
    """Return a checked URL for others to read: no password, no options."""
    parts = _split(url)
    user, at, hosts = parts.netloc.rpartition("@")
    # by hand, as in `with_password`
    return f"postgresql://{user.partition(':')[0]}{at}{hosts}{parts.path}"


def with_password(url: str, password: str) -> str:
    """Put *password*, encoded, into a checked URL that has none."""
    parts = _split(url)
    user, at, hosts = parts.netloc.rpartition("@")
    encoded = quote(password, safe="")
    if at:
        return parts._replace(netloc=f"{user}:{encoded}@{hosts}").geturl()
    # no user name in front: libpq and asyncpg read the password from the query as well
    query = f"{parts.query}&" if parts.query else ""
    # built by hand: geturl() drops the empty authority of "postgresql:///db"
    return f"postgresql://{parts.netloc}{parts.path}?{query}password={encoded}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # its text quotes the URL
        raise ValueError("must be a well-formed URL (are the brackets of an IPv6 address closed?)") from None


def _ports_are_numbers(netloc: str) -> bool:
    hosts = netloc.rpartition("@")[2]
    return all(re.fullmatch(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d{1,5})?", host) for host in hosts.split(","))
