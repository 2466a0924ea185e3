"""SQLite's expressions as trees, by SQLite's own precedences.

General SQL parsers do not have these: of `a = b LIKE 'x'` they make a = (b LIKE 'x'), and SQLite
(a = b) LIKE 'x'. A tree that is wrong would be translated into something that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .tokens import Token, meaningful

#: How tightly operators bind, from https://sqlite.org/lang_expr.html; all of them to the left.
_BINARY = {
    "OR": 1,
    "AND": 2,
    **dict.fromkeys(("=", "==", "<>", "!=", "IS"), 4),
    **dict.fromkeys(("<", "<=", ">", ">="), 5),
    **dict.fromkeys(("&", "|", "<<", ">>"), 7),
    **dict.fromkeys(("+", "-"), 8),
    **dict.fromkeys(("*", "/", "%"), 9),
    **dict.fromkeys(("||", "->", "->>"), 10),
}
_NOT, _EQUAL, _COLLATE, _UNARY = 3, 4, 11, 12
_SAME = {"==": "=", "!=": "<>"}
_MATCHES = ("LIKE", "GLOB", "REGEXP", "MATCH")
#: Words that begin or end something that is no expression of its own.
_RESERVED = re.compile(
    r"ALL|AND|AS|ASC|BETWEEN|BY|CASE|COLLATE|CREATE|CROSS|DEFAULT|DESC|DISTINCT|ELSE|ESCAPE|EXCEPT|"
    r"EXISTS|FROM|GROUP|HAVING|IN|INNER|INTERSECT|IS|ISNULL|JOIN|LEFT|LIMIT|NATURAL|NOT|NOTNULL|"
    r"NULL|ON|OR|ORDER|OUTER|OVER|RAISE|RIGHT|FULL|SELECT|SET|TABLE|THEN|UNION|USING|VALUES|WHEN|"
    r"WHERE|WINDOW|WITH|FILTER|END"
)


class Unreadable(Exception):
    """A text is no expression that can be read here; the message names what stands in the way."""


@dataclass(frozen=True)
class Node:
    """A part of an expression.

    Kinds: number, string, blob, null, name, not, negate, plus, invert, binary, is, null?, in, between, like,
    glob, regexp, match, collate, call, case, cast. A `case` has its base (or `none`), pairs of condition and
    value, and the value otherwise (or `none`).
    """

    kind: str
    #: The value of a literal; the name, function, operator or collation.
    text: str = ""
    parts: tuple[Node, ...] = ()
    #: Of a name: the table that stands before it, and whether it is quoted, so that it may be a string.
    table: str = ""
    quoted: bool = False
    #: Of a call: whether DISTINCT stands in it.
    distinct: bool = False


NONE = Node("none")


def parse(sql: str) -> Node:
    """Return the tree of an expression. Raises Unreadable."""
    reading = Reading(meaningful(sql))
    tree = reading.expression()
    if not reading.done:
        raise Unreadable(f"{reading.next.text!r} is not understood here")
    return tree


class Reading:
    """A place in a text, and what is read from there on."""

    def __init__(self, found: Sequence[Token]) -> None:
        """Take the pieces without spaces."""
        self._tokens = found
        self._place = 0
        self._depth = 0

    @property
    def done(self) -> bool:
        """Tell whether all has been read."""
        return self._place >= len(self._tokens)

    @property
    def next(self) -> Token:
        """Return the next piece; an empty sign at the end."""
        return self._tokens[self._place] if not self.done else Token("sign", "")

    @property
    def following(self) -> Token:
        """Return the piece behind the next one; an empty sign behind the end."""
        return self.after(1)

    def after(self, count: int) -> Token:
        """Return the piece that many places behind the next one; an empty sign behind the end."""
        place = self._place + count
        return self._tokens[place] if place < len(self._tokens) else Token("sign", "")

    def take(self) -> Token:
        """Return the next piece and go behind it. Raises Unreadable at the end."""
        if self.done:
            raise Unreadable("it ends too early")
        self._place += 1
        return self._tokens[self._place - 1]

    def accept(self, *words: str) -> bool:
        """Go behind a keyword or a sign if it is the next one."""
        found = self.next.says(*words)
        self._place += found
        return found

    def expect(self, word: str) -> None:
        """Go behind a keyword or a sign. Raises Unreadable when it is not the next one."""
        if not self.accept(word):
            raise Unreadable(f"{self.next.text or 'the end'!r} stands where {word} is expected")

    def expression(self, least: int = 0) -> Node:
        """Return the expression that begins here, as far as its operators bind that tightly."""
        self._depth += 1
        if self._depth > 100:
            raise Unreadable("it is nested more than 100 deep")
        tree = self._prefix()
        while (more := self._behind(tree, least)) is not None:
            tree = more
        self._depth -= 1
        return tree

    def _prefix(self) -> Node:
        if self.next.says("NOT") and not self.following.says("EXISTS"):
            self.take()
            return Node("not", parts=(self.expression(_NOT + 1),))
        for sign, kind in (("-", "negate"), ("+", "plus"), ("~", "invert")):
            if self.accept(sign):
                return Node(kind, parts=(self.expression(_UNARY),))
        return self._primary()

    def _behind(self, left: Node, least: int) -> Node | None:
        """Return what the next operator makes of what stands before it, None when it binds less tightly."""
        sign = self.next.text.upper() if self.next.kind in ("word", "sign") else ""
        if sign == "COLLATE" and least <= _COLLATE:
            self.take()
            return Node("collate", self.name(), (left,))
        if sign in _BINARY and least <= _BINARY[sign]:
            self.take()
            if sign == "IS":
                return self._is(left)
            right = self.expression(_BINARY[sign] + 1)
            return Node("binary", _SAME.get(sign, sign), (left, right))
        return self._equal(left, sign) if least <= _EQUAL else None

    def _equal(self, left: Node, sign: str) -> Node | None:
        if sign in ("ISNULL", "NOTNULL"):
            self.take()
            return _not(Node("null?", parts=(left,)), sign == "NOTNULL")
        inverse = sign == "NOT"
        word = self.following.text.upper() if inverse else sign
        if word not in ("IN", "BETWEEN", *_MATCHES) and not (inverse and word == "NULL"):
            return None
        self._place += 1 + inverse
        if word == "NULL":
            return _not(Node("null?", parts=(left,)), True)
        made = {"IN": self._in, "BETWEEN": self._between}.get(word)
        return _not(made(left) if made else self._match(left, word), inverse)

    def _is(self, left: Node) -> Node:
        inverse = self.accept("NOT")
        if self.accept("DISTINCT"):
            self.expect("FROM")
            inverse = not inverse
        right = self.expression(_EQUAL + 1)
        kind = Node("null?", parts=(left,)) if right.kind == "null" else Node("is", parts=(left, right))
        return _not(kind, inverse)

    def _in(self, left: Node) -> Node:
        self.expect("(")
        if self.next.says("SELECT", "WITH", "VALUES"):
            raise Unreadable("it reads another table")
        return Node("in", parts=(left, *self._list()))

    def _between(self, left: Node) -> Node:
        low = self.expression(_EQUAL + 1)
        self.expect("AND")
        return Node("between", parts=(left, low, self.expression(_EQUAL + 1)))

    def _match(self, left: Node, word: str) -> Node:
        pattern = self.expression(_EQUAL + 1)
        escape = (self.expression(_EQUAL + 1),) if self.accept("ESCAPE") else ()
        return Node(word.lower(), parts=(left, pattern, *escape))

    def _list(self) -> tuple[Node, ...]:
        """Read what stands between here and the closing parenthesis."""
        if self.accept(")"):
            return ()
        found = [self.expression()]
        while self.accept(","):
            found.append(self.expression())
        self.expect(")")
        return tuple(found)

    def _primary(self) -> Node:
        token = self.take()
        if token.kind in ("number", "string"):
            return Node(token.kind, token.name)
        if token.kind == "blob":
            return Node("blob", token.text[2:-1].lower())
        if token.says("NULL"):
            return Node("null")
        if token.says("("):
            if self.next.says("SELECT", "WITH", "VALUES"):
                raise Unreadable("it reads another table")
            inner = self.expression()
            self.expect(")")
            return inner
        if token.says("CASE"):
            return self._case()
        if token.says("CAST"):
            return self._cast()
        return self._named(token)

    def _named(self, token: Token) -> Node:
        reserved = token.kind == "word" and is_reserved(token.text)
        if token.kind not in ("word", "quoted") or reserved:
            raise Unreadable(f"{token.text!r} is not understood here")
        if token.kind == "word" and self.accept("("):
            return self._call(token.text.lower())
        if not self.accept("."):
            return Node("name", token.name, quoted=token.kind == "quoted")
        second = self.name()
        if self.accept("."):
            return Node("name", self.name(), table=second, quoted=True)
        return Node("name", second, table=token.name, quoted=True)

    def _call(self, name: str) -> Node:
        if self.accept("*"):
            self.expect(")")
            call = Node("call", f"{name}(*)")
        else:
            distinct = self.accept("DISTINCT")
            call = Node("call", name, self._list(), distinct=distinct)
        if self.next.says("OVER", "FILTER"):
            raise Unreadable(f"{self.next.text.upper()} is not understood")
        return call

    def _case(self) -> Node:
        parts = [NONE if self.next.says("WHEN") else self.expression()]
        while self.accept("WHEN"):
            parts.append(self.expression())
            self.expect("THEN")
            parts.append(self.expression())
        parts.append(self.expression() if self.accept("ELSE") else NONE)
        self.expect("END")
        return Node("case", parts=tuple(parts))

    def _cast(self) -> Node:
        self.expect("(")
        what = self.expression()
        self.expect("AS")
        words = []
        while not self.accept(")"):
            words.append(self.take().text)
            if words[-1] == "(":
                raise Unreadable("a CAST to a type with numbers is not understood")
        return Node("cast", " ".join(words).upper(), (what,))

    def name(self) -> str:
        """Return the name that stands next, and go behind it. Raises Unreadable."""
        token = self.take()
        if token.kind not in ("word", "quoted", "string"):
            raise Unreadable(f"{token.text!r} stands where a name is expected")
        return token.name


def is_reserved(word: str) -> bool:
    """Tell whether a word cannot be the name of something, unless in quotes."""
    return _RESERVED.fullmatch(word.upper()) is not None


def _not(node: Node, inverse: bool) -> Node:
    return Node("not", parts=(node,)) if inverse else node
