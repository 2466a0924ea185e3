"""SQL text in pieces, as SQLite's tokenizer cuts it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+ | --[^\n]*(?:\n|$) | /\*.*?(?:\*/|$))
      | (?P<blob>[xX]'[^']*')
      | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\])
      | (?P<number>0[xX][0-9a-fA-F]+ | (?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>[A-Za-z_\u0080-\U0010ffff$][\w$\u0080-\U0010ffff]*)
      | (?P<sign>\|\| | ->> | -> | << | >> | <= | >= | <> | != | == | .)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A piece of SQL: space (comments too), blob, string, quoted, number, word or sign."""

    kind: str
    text: str

    def says(self, *words: str) -> bool:
        """Tell whether it is one of some keywords, or signs."""
        return self.kind in ("word", "sign") and self.text.upper() in words

    @property
    def name(self) -> str:
        """Return the name or the text that it stands for, without its quotes."""
        if self.kind not in ("quoted", "string"):
            return self.text
        end = self.text[-1]
        return self.text[1:-1] if end == "]" else self.text[1:-1].replace(end * 2, end)


def tokens(sql: str) -> list[Token]:
    """Return all pieces of an SQL text in their order; a comment is one space, as it is to SQLite."""
    found = [Token(match.lastgroup or "sign", match[0]) for match in _TOKEN.finditer(sql)]
    return [Token("space", " ") if t.text.startswith(("--", "/*")) else t for t in found]


def meaningful(sql: str) -> list[Token]:
    """Return the pieces that are no space."""
    return [token for token in tokens(sql) if token.kind != "space"]


def closing(found: Sequence[Token], start: int) -> int:
    """Return the place of the parenthesis that closes the one at `start`. Raises ValueError for none."""
    depth = 0
    for place in range(start, len(found)):
        depth += found[place].says("(") - found[place].says(")")
        if depth == 0:
            return place
    msg = "a parenthesis is not closed"
    raise ValueError(msg)


def split(found: Sequence[Token]) -> list[list[Token]]:
    """Return the parts between the commas that no parentheses hold."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in found:
        depth += token.says("(") - token.says(")")
        if token.says(",") and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def joined(found: Sequence[Token]) -> str:
    """Return pieces as the text that they were."""
    return "".join(token.text for token in found).strip()
