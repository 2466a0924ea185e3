"""The last gate before anything leaves: secrets are taken out of every text, names too where asked."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

from config.secret import MASK, mask_text

#: Shorter ones would take half of every text with them; whatever looks like a password is masked anyhow.
SHORTEST_SECRET = 4

#: Under these keys stand names of tables, columns and what is made of them.
NAME_KEYS = ("name", "on", "table", "key_columns", "target", "value")


class Masking:
    """Replaces known secrets, and what looks like one, in every text of a document."""

    def __init__(self, known: Iterable[str]) -> None:
        spelled = {form for one in known for form in (one, quote(one, safe=""), unquote(one))}
        self._known = sorted((s for s in spelled if len(s) >= SHORTEST_SECRET), key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        return mask_text(text)

    def document(self, value: Any) -> Any:
        """Return a document of JSON's types without secrets."""
        return walked(value, lambda _, text: self.text(text))


class Renaming:
    """Replaces names of tables and columns by hashes that are the same within one report, and in no other."""

    def __init__(self, names: Collection[str]) -> None:
        salt = secrets.token_hex(8)
        self._hashes = {n: f"n_{hashlib.sha256((salt + n).encode()).hexdigest()[:10]}" for n in names if n}
        longest_first = sorted(map(re.escape, self._hashes), key=len, reverse=True)
        self._names = "|".join(longest_first) or r"(?!)"
        #: In a text a name stands in quotes, or between characters that no name has.
        self._inside = re.compile(rf"""(?<=["'`.\[ (,])(?:{self._names})(?=["'`.\] ),:;}}])""")
        self._anywhere = re.compile(rf"""(?<![\w])(?:{self._names})(?![\w])""")

    def text(self, text: str, key: str = "") -> str:
        """Return a text with the names in it replaced; under a key where names stand, wherever they are."""
        pattern = self._anywhere if key in NAME_KEYS else self._inside
        return pattern.sub(lambda match: self._hashes[match[0]], text)

    def document(self, value: Any) -> Any:
        """Return a document of JSON's types with the names in it replaced."""
        return walked(value, lambda key, text: self.text(text, key))


def walked(value: Any, change: Callable[[str, str], str], key: str = "") -> Any:
    """Return a document with each text in it changed, told under which key it stands."""
    if isinstance(value, str):
        return change(key, value)
    if isinstance(value, Mapping):
        # a map under `value` is a setting by table or column; all other keys are ours
        said = key == "value"
        return {
            change(key, str(name)) if said else name: walked(one, change, key if said else str(name))
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [walked(one, change, key) for one in value]
    return value
