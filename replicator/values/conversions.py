"""Types that the configuration asks for: which values each takes, how, and what gets lost in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from config.errors import ConfigError

from . import documents, moments, scalars, texts

Convert = Callable[[Any], Any]

#: Types whose converters are in `values`: those that are chosen without being asked for, and two narrow ones.
PLAIN = ("bigint", "integer", "smallint", "double precision", "numeric", "boolean", "text", "bytea")

SYNONYMS = {
    "int8": "bigint",
    "int": "integer",
    "int4": "integer",
    "int2": "smallint",
    "float8": "double precision",
    "float4": "real",
    "decimal": "numeric",
    "bool": "boolean",
    "varchar": "text",
    "character varying": "text",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time without time zone": "time",
    "_text": "text[]",
}
_LIMITED = {"decimal": "numeric", "character varying": "varchar", "character": "char", "bpchar": "char"}

_WORDS = ("rounded", "lossy", "padded", "escaped", "replaced")
_FORM = re.compile(
    r"(?P<type>.+?)(?:\s+from\s+(?P<source>\w+))?(?:\s+in\s+(?P<zone>\S+))?"
    rf"(?:\s+(?P<word>{'|'.join(_WORDS)}))?",
    re.IGNORECASE,
)
_ARGUMENTS = re.compile(r"(?P<name>[a-z ]+?)\s*\(\s*(?P<first>\d+)\s*(?:,\s*(?P<second>\d+)\s*)?\)")


@dataclass(frozen=True)
class Conversion:
    """A type and how values become it; `source` is the form they have in SQLite."""

    name: str
    arguments: tuple[int, ...] = ()
    source: str = ""
    zone: str = ""
    word: str = ""

    @property
    def pg_type(self) -> str:
        """Return the type as DDL says it."""
        return self.name + (f"({','.join(map(str, self.arguments))})" if self.arguments else "")

    @property
    def plain(self) -> bool:
        """Tell whether nothing is to be known but the type."""
        return self.name in PLAIN and not (self.arguments or self.source or self.word)

    def __str__(self) -> str:
        """Return it as the configuration does; `parse` reads it back."""
        parts = [self.pg_type]
        parts += [f"from {self.source}"] if self.source else []
        parts += [f"in {self.zone}"] if self.zone else []
        return " ".join([*parts, self.word] if self.word else parts)


@dataclass(frozen=True)
class Way:
    """How one column's values are converted."""

    convert: Convert
    #: The exact inverse, None where there is none: then no key can have it.
    invert: Convert | None = None
    #: What does not arrive, though the value does.
    loses: str = ""


@dataclass(frozen=True)
class _Rule:
    """What may be said of one type."""

    make: Callable[[Conversion, bool], Way]
    sources: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    zone: bool = False
    arguments: int = 0


SPELLING = "the spelling of each text"


def _moment(wanted: Conversion, key: bool) -> Way:
    way = _exact_moment(wanted)
    return replace(way, convert=_of_digits(way.convert, wanted))


def _exact_moment(wanted: Conversion) -> Way:
    rounded = wanted.word == "rounded"
    cut = "what is finer than a microsecond" if rounded else ""
    if wanted.source in moments.UNITS:
        inverse = None if rounded else moments.epoch_number(wanted.source)
        return Way(moments.epoch(wanted.source, rounded=rounded), inverse, cut)
    if wanted.source == "julian":
        return Way(moments.julian(rounded=rounded), None if rounded else moments.julian_number, cut)
    both = f"{SPELLING}" + (f", and {cut}" if cut else "")
    if wanted.name == "timestamp":
        return Way(moments.wall_clock(rounded=rounded), None, both)
    return Way(moments.instant(wanted.zone, rounded=rounded), None, f"the offset and {both}")


def _of_digits(convert: Convert, wanted: Conversion) -> Convert:
    """PostgreSQL would round to the digits of timestamptz(3) without a word."""
    if not wanted.arguments:
        return convert
    return moments.of_digits(convert, wanted.arguments[0], rounded=wanted.word == "rounded")


def _clock(wanted: Conversion, key: bool) -> Way:
    clock = moments.clock(rounded=wanted.word == "rounded")
    return Way(_of_digits(clock, wanted), None, SPELLING)


def _same(convert: Convert, loses: str = "") -> Callable[[Conversion, bool], Way]:
    return lambda wanted, key: Way(convert, None, loses)


def _itself(value: Any) -> Any:
    return value


def _uuid(wanted: Conversion, key: bool) -> Way:
    if wanted.source == "hex":
        return Way(scalars.hex_uuid, lambda found: found.hex)
    if wanted.source == "blob":
        return Way(scalars.blob_uuid, lambda found: found.bytes)
    # in a key each value has one spelling, or two rows would become one
    return Way(scalars.plain_uuid, str) if key else Way(scalars.any_uuid, None, SPELLING)


def _numeric(wanted: Conversion, key: bool) -> Way:
    convert = scalars.numeric_of(*wanted.arguments) if wanted.arguments else scalars.numeric
    return Way(convert, None, f"{SPELLING}, where it is one")


def _real(wanted: Conversion, key: bool) -> Way:
    if wanted.word == "lossy":
        return Way(scalars.real_lossy, None, "all but the first 7 digits or so")
    return Way(scalars.real, _itself)


def _varchar(wanted: Conversion, key: bool) -> Way:
    return Way(scalars.limited(wanted.arguments[0]), _itself)


def _char(wanted: Conversion, key: bool) -> Way:
    if wanted.word == "padded":
        filled = scalars.fixed(wanted.arguments[0], padded=True)
        return Way(
            filled,
            lambda text: text.rstrip(" "),
            "the length of shorter texts",
        )
    return Way(scalars.fixed(wanted.arguments[0], padded=False), _itself)


def _text(wanted: Conversion, key: bool) -> Way:
    if wanted.source != "any" and wanted.word == "escaped":
        return Way(texts.escaped, texts.unescaped)
    convert = {"escaped": texts.escaped, "replaced": texts.replaced}[wanted.word]
    lost = ["which characters U+FFFD stands for"] if wanted.word == "replaced" else []
    lost += ["whether it was a number"] if wanted.source == "any" else []
    return Way(scalars.number_or(convert) if wanted.source == "any" else convert, None, "; ".join(lost))


def _bytea(wanted: Conversion, key: bool) -> Way:
    return Way(texts.as_bytes, None, "whether it was text or a blob")


def _jsonb(wanted: Conversion, key: bool) -> Way:
    lost = f"{SPELLING}: the order of keys, white space, 1e2 for 100"
    if wanted.word == "replaced":
        return Way(texts.jsonb_replaced, None, f"{lost}; which characters U+FFFD stands for")
    return Way(documents.jsonb, None, lost)


def _boolean(wanted: Conversion, key: bool) -> Way:
    return Way(scalars.boolean, None, f"{SPELLING}, where it is one")


_CLOCKS = ("timestamptz", "timestamp", "time")
_UNITS = (*moments.UNITS, "julian")
_RULES: dict[str, _Rule] = {
    "boolean": _Rule(_boolean),
    "numeric": _Rule(_numeric, arguments=2),
    "real": _Rule(_real, words=("lossy",)),
    "timestamptz": _Rule(_moment, sources=("iso", *_UNITS), words=("rounded",), zone=True, arguments=1),
    "timestamp": _Rule(_moment, sources=("iso", *_UNITS), words=("rounded",), arguments=1),
    "date": _Rule(lambda wanted, key: Way(moments.day, moments.day_text)),
    "time": _Rule(_clock, words=("rounded",), arguments=1),
    "uuid": _Rule(_uuid, sources=("text", "hex", "blob")),
    "text": _Rule(_text, sources=("any",), words=("escaped", "replaced")),
    "bytea": _Rule(_bytea, sources=("any",)),
    "jsonb": _Rule(_jsonb, words=("replaced",)),
    "json": _Rule(_same(documents.json_text)),
    "inet": _Rule(_same(scalars.inet, SPELLING)),
    "cidr": _Rule(_same(scalars.cidr, SPELLING)),
    "macaddr": _Rule(_same(scalars.macaddr, SPELLING)),
    "text[]": _Rule(_same(documents.text_list, f"{SPELLING}: the white space of the JSON list")),
    "varchar": _Rule(_varchar, arguments=1),
    "char": _Rule(_char, words=("padded",), arguments=1),
}

KNOWN = tuple(dict.fromkeys([*PLAIN, *_RULES]))


def parse(text: str, where: str) -> Conversion:
    """Return what the configuration asks for a column.

    Raises ConfigError for a type that liteferry cannot guarantee to carry without loss.
    """
    found = _FORM.fullmatch(" ".join(text.split()))
    name, arguments = _type(found["type"].lower() if found else text.lower())
    if found is None or name not in KNOWN:
        raise ConfigError(
            f"columns.{where}: type {text!r} is not one of {', '.join(KNOWN)}",
            hint="choose one of these; the column can be altered after the cutover",
        )
    source, zone, word = ((found[part] or "") for part in ("source", "zone", "word"))
    wanted = Conversion(name, arguments, source.lower(), zone, word.lower())
    reason = _objection(wanted)
    if reason:
        raise ConfigError(f"columns.{where}: {text!r}: {reason}", hint="see the how-to on types")
    return _completed(wanted)


def _type(text: str) -> tuple[str, tuple[int, ...]]:
    found = _ARGUMENTS.fullmatch(text)
    if found is None:
        name = SYNONYMS.get(text, text)
        return ("char", (1,)) if name in ("char", "character") else (name, ())
    numbers = [int(found[part]) for part in ("first", "second") if found[part] is not None]
    name = _LIMITED.get(found["name"], found["name"])
    return name, (*numbers, 0) if name == "numeric" and len(numbers) == 1 else tuple(numbers)


def _objection(wanted: Conversion) -> str:
    rule = _RULES.get(wanted.name, _Rule(_same(_itself)))
    if wanted.source and wanted.source not in rule.sources:
        known = ", ".join(rule.sources)
        return f"{wanted.name} is made from {known}" if known else f"{wanted.name} takes no `from`"
    if wanted.zone and (not rule.zone or wanted.source not in ("", "iso")):
        return "a time zone is stated for texts that become timestamptz, and for nothing else"
    if wanted.name == "text" and wanted.source and not wanted.word:
        return "`text` takes numbers as their text already"
    if wanted.word and wanted.word not in rule.words:
        return f"`{wanted.word}` says nothing about {wanted.name}"
    return _zone_objection(wanted.zone) or _argument_objection(wanted, rule)


def _zone_objection(zone: str) -> str:
    try:
        if zone:
            moments.zone_offset(zone)
    except ValueError as error:
        return str(error)
    return ""


def _argument_objection(wanted: Conversion, rule: _Rule) -> str:
    given = wanted.arguments
    if wanted.name in ("varchar", "char") and not (len(given) == 1 and 1 <= given[0] <= 10_485_760):
        return "state how many characters, from 1 to 10485760"
    if given and len(given) != rule.arguments:
        return f"{wanted.name} takes {rule.arguments or 'no'} numbers in parentheses"
    if wanted.name in _CLOCKS and given and given[0] > 6:
        return "state how many digits of a second, from 0 to 6"
    if wanted.name == "numeric" and given and not (1 <= given[0] <= 1000 and given[1] <= given[0]):
        return "state a precision from 1 to 1000 and a scale up to it"
    return ""


def _completed(wanted: Conversion) -> Conversion:
    """Say what goes without saying, so that the stored plan does not depend on it."""
    if wanted.name in ("timestamptz", "timestamp") and not wanted.source:
        return Conversion(wanted.name, wanted.arguments, "iso", wanted.zone, wanted.word)
    return wanted


def takes_bad_text(text: str) -> bool:
    """Tell whether a conversion of `parse` holds texts that are not UTF-8."""
    return text.endswith((" escaped", " replaced")) or text == "bytea from any"


@lru_cache(maxsize=4096)
def way(text: str, key: bool = False) -> Way:
    """Return how a conversion that `parse` has made text of is done; stricter where values are keys."""
    wanted = parse(text, "")
    return _RULES[wanted.name].make(wanted, key)


def base(pg_type: str) -> str:
    """Return a type without its limits: a cast to a limited type would cut or round without a word."""
    name = pg_type.partition("(")[0]
    return "bpchar" if name == "char" else name


def is_list(pg_type: str) -> bool:
    """Tell whether a type is an array, which cannot be an element of the arrays that rows are sent in."""
    return pg_type.endswith("[]")
