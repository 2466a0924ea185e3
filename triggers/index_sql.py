"""The terms and the condition of a CREATE INDEX statement, cut out of its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .identifier import fold, quote

_TOKEN = re.compile(
    r"""\s+ | --[^\n]*(?:\n|$) | /\*.*?(?:\*/|$)
      | '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]
      | [A-Za-z_\u0080-\U0010ffff$][\w$\u0080-\U0010ffff]* | . """,
    re.VERBOSE | re.DOTALL,
)


#: Words that mean something else than a column of that name, which would have to be quoted.
_WORDS = frozenset(
    ("and", "as", "between", "case", "cast", "collate", "else", "end", "escape", "exists", "glob", "in", "is")
    + ("isnull", "like", "not", "notnull", "null", "or", "then", "when")
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


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return an expression with columns under other names; one that PostgreSQL reads right stays as it is.

    `names` has the target's by the source's.
    """
    known = {fold(name): target for name, target in names.items()}
    tokens = _TOKEN.findall(text)
    words = [i for i, token in enumerate(tokens) if not token.isspace() and token[:2] not in ("--", "/*")]
    for place, i in enumerate(words):
        around = [tokens[words[n]] if 0 <= n < len(words) else "" for n in (place - 1, place + 1)]
        target = known.get(fold(_identifier(tokens[i]) or ""))
        if target is not None and _names_a_column(tokens[i], around) and _as_read(tokens[i]) != target:
            tokens[i] = quote(target)
    return "".join(tokens)


def _names_a_column(token: str, around: Sequence[str]) -> bool:
    before, after = around
    return token.lower() not in _WORDS and before.lower() not in ("as", "collate") and after != "("


def _identifier(token: str) -> str | None:
    """Return the name that a token stands for in SQLite, None where it is no name."""
    if token[0] in '"`':
        return token[1:-1].replace(token[0] * 2, token[0])
    if token[0] == "[":
        return token[1:-1]
    return token if token[0] == "_" or token[0].isalpha() or token[0] > "\x7f" else None


def _as_read(token: str) -> str | None:
    """Return the name that PostgreSQL reads in a token, None where it has no such way of quoting."""
    if token[0] == '"':
        return _identifier(token)
    return None if token[0] in "`[" else fold(token)


def _bare(term: str) -> str:
    term = re.sub(r"\s+(?:asc|desc)\s*$", "", term.strip(), flags=re.IGNORECASE)
    ending = r"""\s*\bcollate\s+(?:\w+|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|'[^']*')\s*$"""
    return re.sub(ending, "", term, flags=re.IGNORECASE).strip()


def _where(tokens: list[str]) -> str:
    text = "".join(tokens).strip().rstrip(";").strip()
    return text[5:].strip() if text[:5].lower() == "where" else ""
