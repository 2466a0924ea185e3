"""The terms and the condition of a CREATE INDEX statement, cut out of its text."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s+ | --[^\n]*(?:\n|$) | /\*.*?(?:\*/|$)
      | '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]
      | [A-Za-z_\u0080-\U0010ffff$][\w$\u0080-\U0010ffff]* | . """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class IndexText:
    """The terms as written, without COLLATE and ASC or DESC at their end, and the WHERE or an empty text."""

    terms: tuple[str, ...]
    where: str


def parse(sql: str) -> IndexText:
    """Split the text of a CREATE INDEX as SQLite stored it.

    SQLite has accepted the statement, so only quoting, comments, parentheses and commas matter here.
    """
    # a comment separates words as a space does
    tokens = [" " if t.startswith(("--", "/*")) else t for t in _TOKEN.findall(sql)]
    start = tokens.index("(")
    depth, terms, current = 0, [], ""
    for i in range(start, len(tokens)):
        token = tokens[i]
        depth += (token == "(") - (token == ")")
        if (token == "," and depth == 1) or depth == 0:
            terms.append(_bare(current))
            current = ""
            if depth == 0:
                return IndexText(tuple(terms), _where(tokens[i + 1 :]))
        elif not (token == "(" and depth == 1 and i == start):
            current += token
    msg = "the index text ends inside its column list"
    raise ValueError(msg)


def _bare(term: str) -> str:
    term = re.sub(r"\s+(?:asc|desc)\s*$", "", term.strip(), flags=re.IGNORECASE)
    ending = r"""\s*\bcollate\s+(?:\w+|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|'[^']*')\s*$"""
    return re.sub(ending, "", term, flags=re.IGNORECASE).strip()


def _where(tokens: list[str]) -> str:
    text = "".join(tokens).strip().rstrip(";").strip()
    return text[5:].strip() if text[:5].lower() == "where" else ""
