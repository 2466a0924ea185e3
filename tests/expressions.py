"""Random rows and random expressions of SQLite, many of them odd, for tests of their translation."""

from __future__ import annotations

import random
from collections.abc import Sequence

TABLE = """CREATE TABLE t(id INTEGER PRIMARY KEY, i INTEGER, "J k" INT, r REAL, q DOUBLE, d DECIMAL(10,2),
f BOOLEAN, a TEXT, c VARCHAR(9), n TEXT COLLATE NOCASE, s TEXT COLLATE RTRIM, day DATE, b BLOB, g BOOLEAN)"""

INTEGERS = ("0", "1", "-1", "2", "7", "-3", "100", "4611686018427387904", "9007199254740993", "0x10")
REALS = ("0.0", "0.5", "-1.5", "0.1", "1e3", "2.0", "-0.0", "9007199254740992.0", "1e-9")
TEXTS = (
    "''",
    "'a'",
    "'A'",
    "'ab'",
    "'b '",
    "'a  '",
    "'É'",
    "'é'",
    "'x_y'",
    "'50%'",
    "'5'",
    "'it''s'",
    "'ß'",
    "'10'",
)
DAYS = ("'2024-02-29'", "'2023-12-31'", "'2024-02-29 10:00'", "'n/a'")
BLOBS = ("x''", "x'00ff'", "x'61'", "x'ff'")
PATTERNS = ("'a%'", "'%B%'", "'_'", "''", "'%_%'", "'É'", "'x!_y'", "'50!%'", "'%'", "'a\\b'")
GLOBS = (
    "'a*'",
    "'?'",
    "'*'",
    "'[a-z]*'",
    "'*[^0-9]*'",
    "'[0-9][0-9]'",
    "'[A-Z]?*'",
    "'x_y'",
    "'*%'",
    "'.'",
    "'[ab.:]'",
)

ESCAPE = " ESCAPE '!'"

BY_KIND = {
    "int": ("i", '"J k"', "[J k]", "t.i", "id"),
    "real": ("r", "q"),
    "number": ("d",),
    "text": ("a", "c", "n", "s", "A"),
    "day": ("day",),
    "blob": ("b",),
    "truth": ("f", "g"),
}
LITERALS = {
    "int": INTEGERS,
    "real": REALS,
    "number": (*INTEGERS[:6], *REALS[1:4]),
    "text": (*TEXTS, '"quoted"'),
    "day": DAYS,
    "blob": BLOBS,
    "truth": ("0", "1", "TRUE", "FALSE"),
}
KINDS = tuple(BY_KIND)


class Expressions:
    """Makes expressions, most of them of operands that belong together."""

    def __init__(self, chance: random.Random) -> None:
        """Take the source of chance."""
        self._chance = chance
        self._pick = chance.choice

    def rows(self, count: int) -> list[str]:
        """Return the VALUES of some rows, a third of the values NULL."""
        kinds = [
            "int",
            "int",
            "real",
            "real",
            "number",
            "truth",
            "text",
            "text",
            "text",
            "text",
            "day",
            "blob",
            "truth",
        ]
        return [f"({', '.join((str(number), *map(self._stored, kinds)))})" for number in range(1, count + 1)]

    def _stored(self, kind: str) -> str:
        if self._chance.random() < 0.25:
            return "NULL"
        if kind in ("text", "truth"):
            return self._pick(TEXTS if kind == "text" else ("0", "1"))
        return self._pick([value for value in LITERALS[kind] if value != "-0.0" or kind != "number"])

    def condition(self, depth: int = 3) -> str:
        """Return a condition."""
        if depth and self._chance.random() < 0.45:
            one, other = self.condition(depth - 1), self.condition(depth - 1)
            return self._pick(
                (
                    f"({one}) AND ({other})",
                    f"{one} OR {other}",
                    f"NOT {one}",
                    f"NOT ({one})",
                    f"({one}) = ({other})",
                    f"({one}) <> ({other})",
                    f"({one}) + ({other}) = 1",
                    f"({one}) IS {self._pick(('TRUE', 'FALSE', 'NOT TRUE'))}",
                    f"CASE WHEN {one} THEN {other} ELSE {self.condition(0)} END",
                    f"coalesce({one}, {other})",
                    f"{one} AND {other} = {self._pick(('0', '1'))}",
                )
            )
        return self._test(self._pick(KINDS))

    def _test(self, kind: str) -> str:
        one, other = (
            self.operand(kind),
            self.operand(kind if self._chance.random() < 0.93 else self._pick(KINDS)),
        )
        sign = self._pick(("=", "==", "<>", "!=", "<", "<=", ">", ">=", "IS", "IS NOT"))
        listed = ", ".join(self._pick(LITERALS[kind]) for _ in range(self._chance.randint(1, 3)))
        collate = self._pick((*[""] * 8, " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY"))
        tests = [f"{one}{collate} {sign} {other}"] * 3 + [
            f"{one} IS NULL",
            f"{one} NOT NULL",
            f"{one}{collate} {self._pick(('', 'NOT '))}IN ({listed})",
            f"{one} {self._pick(('', 'NOT '))}BETWEEN {other} AND {self.operand(kind)}",
            f"typeof({self._pick(BY_KIND[kind])}) {self._pick(('=', '<>', 'IN'))} ('text')",
            f"CASE {one} WHEN {other} THEN 1 ELSE 0 END",
        ]
        if kind in ("text", "day"):
            tests += [
                f"{self._pick(BY_KIND[kind])} {sign} {self._pick(INTEGERS)}",
                f"{one} {self._pick(('', 'NOT '))}LIKE {self._pick(PATTERNS)}{self._pick(('', ESCAPE))}",
                f"{one} GLOB {self._pick(GLOBS)}",
                f"length({one}) {sign} {self._pick(INTEGERS)}",
                f"instr({one}, {self._pick(TEXTS)}) > 0",
            ]
        if kind in ("truth", "int"):
            tests.append(one)
        return self._pick(tests)

    def operand(self, kind: str, depth: int = 2) -> str:
        """Return a column, a literal, or something made of these."""
        if depth and self._chance.random() < 0.3:
            return self._made(kind, self.operand(kind, depth - 1), self.operand(kind, depth - 1))
        names: Sequence[str] = BY_KIND[kind]
        return self._pick(names if self._chance.random() < 0.65 else LITERALS[kind])

    def _simple(self) -> str:
        kind = self._pick(KINDS)
        return f"{self._pick(BY_KIND[kind])} {self._pick(('=', '<'))} {self._pick(LITERALS[kind])}"

    def _made(self, kind: str, one: str, other: str) -> str:
        made = [
            f"coalesce({one}, {other})",
            f"CASE WHEN {self._simple()} THEN {one} ELSE {other} END",
            f"({one})",
        ]
        if kind in ("int", "real", "number", "truth"):
            made += [f"{one} {self._pick('+-*')} {other}", f"- {one}", f"abs({one})"]
        if kind == "int":
            made += [f"{one} {self._pick('%/&|')} {self._pick(('2', '7', other))}"]
        if kind in ("text", "day"):
            made += [
                f"{self._pick(('lower', 'upper', 'trim', 'ltrim', 'rtrim'))}({one})",
                f"trim({one}, 'ab')",
                f"{one} || {other}",
                f"substr({one}, {self._pick('0123')}{self._pick(('', ', 1', ', 2'))})",
                f"replace({one}, 'a', {other})",
                f"{one} || {self.operand('int', 0)}",
            ]
        return self._pick(made)
