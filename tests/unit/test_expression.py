"""Expressions are read as SQLite reads them: written out with every parenthesis they mean the same to it."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from triggers.expression import NONE, Node, Unreadable, parse

SIGNS = ["=", "==", "<>", "!=", "<", "<=", ">", ">=", "IS", "+", "-", "*", "/", "%", "&", "|", "<<", ">>"]
SIGNS += ["||", "AND", "OR", "LIKE", "GLOB"]
SIGNS += ["IS NOT", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "NOT LIKE", "NOT GLOB"]
ENDINGS = (
    " ISNULL",
    " NOTNULL",
    " NOT NULL",
    " IS NULL",
    " IS NOT NULL",
    " COLLATE NOCASE",
    " IN (1, 'a')",
    " NOT IN (2)",
)
BEGINNINGS = ("NOT ", "- ", "~ ", "+ ", "NOT NOT ", "- -")
LEAVES = ("a", "b", "c", "1", "2.5", "'a'", "'A'", "NULL", "'%'", "x'61'", "0", "length(b)", "coalesce(a, 1)")


def written(node: Node) -> str:
    """Return a tree as text with all parentheses."""
    parts = [written(part) for part in node.parts if part is not NONE]
    match node.kind:
        case "number" | "name":
            return node.text
        case "string":
            return "'" + node.text.replace("'", "''") + "'"
        case "blob":
            return f"x'{node.text}'"
        case "null":
            return "NULL"
        case "not" | "negate" | "plus" | "invert":
            return f"({ {'not': 'NOT', 'negate': '-', 'plus': '+', 'invert': '~'}[node.kind] } {parts[0]})"
        case "binary":
            return f"({parts[0]} {node.text} {parts[1]})"
        case "is":
            return f"({parts[0]} IS {parts[1]})"
        case "null?":
            return f"({parts[0]} IS NULL)"
        case "in":
            return f"({parts[0]} IN ({', '.join(parts[1:])}))"
        case "between":
            return f"({parts[0]} BETWEEN {parts[1]} AND {parts[2]})"
        case "like" | "glob":
            escape = f" ESCAPE {parts[2]}" if len(parts) > 2 else ""
            return f"({parts[0]} {node.kind.upper()} {parts[1]}{escape})"
        case "collate":
            return f"({parts[0]} COLLATE {node.text})"
        case "call":
            return f"{node.text}({', '.join(parts)})"
    base = "" if node.parts[0] is NONE else written(node.parts[0])
    pairs = [written(part) for part in node.parts[1:-1]]
    whens = [f"WHEN {a} THEN {b}" for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
    otherwise = "" if node.parts[-1] is NONE else f"ELSE {written(node.parts[-1])}"
    return f"(CASE {base} {' '.join(whens)} {otherwise} END)"


def random_text(chance: random.Random, depth: int) -> str:
    """Return an expression with few parentheses."""
    if depth == 0 or chance.random() < 0.15:
        return chance.choice(LEAVES)
    one, other = random_text(chance, depth - 1), random_text(chance, depth - 1)
    made = [f"{one} {chance.choice(SIGNS)} {other}"] * 6
    made += [chance.choice(BEGINNINGS) + one, one + chance.choice(ENDINGS), f"({one})"]
    made += [f"{one} BETWEEN {other} AND {chance.choice(LEAVES)}", f"{one} LIKE '%!a' ESCAPE '!'"]
    made += [f"CASE WHEN {one} THEN {other} ELSE 3 END", f"CASE {one} WHEN {other} THEN 1 END"]
    return chance.choice(made)


@pytest.mark.parametrize("seed", range(4))
def test_precedence_is_sqlite_s_own(seed: int) -> None:
    """Whatever is written without parentheses."""
    chance = random.Random(seed)
    read = 0
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t(a INT, b TEXT, c REAL)")
        connection.execute(
            "INSERT INTO t VALUES(1, 'a', 0.5), (NULL, 'A', 2), (3, NULL, -1.0), (0, '', NULL)"
        )
        for _ in range(1500):
            text = random_text(chance, 4)
            try:
                expected = connection.execute(f"SELECT {text} FROM t").fetchall()
            except sqlite3.Error:
                continue
            try:
                again = written(parse(text))
            except Unreadable:
                continue
            read += 1
            assert connection.execute(f"SELECT {again} FROM t").fetchall() == expected, f"{text} => {again}"
    assert read > 1000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a IN (SELECT 1)", "reads another table"),
        ("EXISTS (SELECT 1)", "not understood"),
        ("(SELECT 1)", "reads another table"),
        ("count(*) OVER ()", "OVER"),
        ("a = ?1", "not understood"),
        ("(1, 2) = (1, 2)", "stands where"),
        ("a +", "ends too early"),
        ("a b", "not understood here"),
        ("(" * 200 + "1" + ")" * 200, "nested"),
        ("RAISE(ABORT, 'no')", "not understood"),
    ],
)
def test_what_is_not_understood_is_not_guessed(text: str, reason: str) -> None:
    """It is reported with a reason."""
    with pytest.raises(Unreadable, match=reason):
        parse(text)
