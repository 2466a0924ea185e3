"""The terms and the condition of a CREATE INDEX statement, cut out of its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .tokens import Token, closing, joined, split, tokens


@dataclass(frozen=True)
class IndexText:
    """The terms as written, without COLLATE and ASC or DESC at their end, and the WHERE or an empty text."""

    terms: tuple[str, ...]
    where: str


def parse(sql: str) -> IndexText:
    """Split the text of a CREATE INDEX as SQLite stored it.

    SQLite has accepted the statement, so only quoting, comments, parentheses and commas matter here.
    """
    found = tokens(sql)
    start = next(place for place, token in enumerate(found) if token.says("("))
    try:
        end = closing(found, start)
    except ValueError:
        msg = "the index text ends inside its column list"
        raise ValueError(msg) from None
    terms = tuple(_bare(joined(term)) for term in split(found[start + 1 : end]))
    return IndexText(terms, _where(found[end + 1 :]))


def _bare(term: str) -> str:
    term = re.sub(r"\s+(?:asc|desc)\s*$", "", term.strip(), flags=re.IGNORECASE)
    ending = r"""\s*\bcollate\s+(?:\w+|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|'[^']*')\s*$"""
    return re.sub(ending, "", term, flags=re.IGNORECASE).strip()


def _where(found: Sequence[Token]) -> str:
    text = joined(found).rstrip(";").strip()
    return text[5:].strip() if text[:5].lower() == "where" else ""
