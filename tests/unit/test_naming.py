"""Names on the target: what the policies make of a name, and what becomes of two that would be one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError, Unsupported
from replicator.planning.naming import (
    NAME_BYTES,
    POLICIES,
    Naming,
    alternative,
    check_renames,
    named,
    problems,
    short_name,
    snake,
)
from replicator.planning.plan import TablePlan
from replicator.planning.renames import Following
from triggers.key import choose
from triggers.schema import Column, Table

#: Whatever SQLite takes for a name; no surrogates, which are no text of either side.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=90)


def table(name: str, *columns: str) -> Table:
    """Return a table of the source."""
    return Table(name, tuple(Column(c, "", False, None, 0) for c in ("id", *columns)))


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("OrderDetails", "order_details"),
        ("Order Details", "order_details"),
        ("order-details", "order_details"),
        ("order_details", "order_details"),
        ("HTTPServer", "http_server"),
        ("userID", "user_id"),
        ("ID", "id"),
        ("X509Certificate", "x509_certificate"),
        ("Address2Line", "address2_line"),
        ("iPhone", "i_phone"),
        ("2nd place", "_2nd_place"),
        ("_private", "_private"),
        ("users_", "users_"),
        ("a__b", "a__b"),
        ("a _b", "a_b"),
        (" padded ", "padded"),
        ("price (€/kg)", "price_kg"),
        ("path/to/It", "path_to_it"),
        ('say "hi"', "say_hi"),
        ("ÉtatCivil", "état_civil"),
        ("Größe", "größe"),
        ("Cafe\u0301Noir", "cafe\u0301_noir"),
        ("हिन्दी", "हिन्दी"),
        ("日本 語", "日本_語"),
        ("--", ""),
        ("", ""),
    ],
)
def test_snake_makes_words(name: str, there: str) -> None:
    """In lower case, with one underscore between them."""
    assert snake(name) == there


@given(NAMES)
def test_a_policy_changes_nothing_twice(name: str) -> None:
    """What it has made is what it would make: a plan of a plan is the same."""
    for policy in POLICIES.values():
        assert policy(policy(name)) == policy(name)


@given(st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True))
def test_a_plain_name_stays(name: str) -> None:
    """Whoever has named things as PostgreSQL's users do finds them again."""
    assert {policy(name) for policy in POLICIES.values()} == {name}


@given(st.lists(NAMES, unique=True, max_size=12), st.sampled_from(sorted(POLICIES)))
def test_every_column_gets_a_name_of_its_own(names: list[str], policy: str) -> None:
    """One that PostgreSQL can have, and the same one each time."""
    made = Naming(policy).columns("t", names)
    assert list(made.names) == names
    assert len(set(made.names.values())) == len(names)
    assert all(0 < len(name.encode()) <= NAME_BYTES for name in made.names.values())
    assert not {"xmin", "ctid", "_liteferry_rowid"} & set(made.names.values())
    assert made == Naming(policy).columns("t", names)


@given(st.lists(NAMES, unique=True, max_size=12))
def test_as_in_the_source_no_two_columns_are_one(names: list[str]) -> None:
    """Whatever must be called otherwise gives way to what need not."""
    assert Naming().columns("t", names).clashes == ()


def test_lower_is_what_postgresql_reads_without_quotes() -> None:
    """It folds A to Z and nothing else: É and é stay two names, as they are in SQLite."""
    made = Naming("lower").columns("t", ["Name", "ÉTÉ", "éTé"])
    assert made.names == {"Name": "name", "ÉTÉ": "ÉtÉ", "éTé": "été"}
    assert made.clashes == ()


def test_system_columns_and_our_own_get_an_underscore() -> None:
    """Only in the spelling that PostgreSQL has them in."""
    names = ["xmin", "XMAX", "ctid", "ctid_", "oid", "_liteferry_rowid"]
    assert Naming().columns("t", names).names == {
        "xmin": "xmin_",
        "XMAX": "XMAX",
        "ctid": alternative("ctid", "ctid_"),
        "ctid_": "ctid_",
        "oid": "oid",
        "_liteferry_rowid": "_liteferry_rowid_",
    }
    assert Naming("lower").columns("t", ["XMAX"]).names == {"XMAX": "xmax_"}


def test_a_table_may_be_called_like_a_system_column() -> None:
    """Only columns share a space with those."""
    assert Naming().table("xmin") == "xmin"


def test_long_and_empty_names_are_made_to_fit() -> None:
    """Cut with a hash, not by PostgreSQL in silence; an empty one cannot be at all."""
    assert Naming().table("x" * 64) == short_name("x" * 64)
    assert Naming(prefix="app_").table("x" * 63) == short_name("app_" + "x" * 63)
    assert Naming("snake").table("--") == Naming().table("") == "unnamed"
    assert Naming(prefix="app_").table("") == "app_unnamed"
    assert Naming("snake").columns("t", ["", "-"]).names == {"": "unnamed", "-": alternative("-", "unnamed")}


def test_a_rename_goes_over_the_policy() -> None:
    """As it is written, but for the prefix of the source."""
    naming = Naming("snake", "a_", {"Order Details": "OrderLines", "Order Details.Qty": "Quantity"})
    assert naming.table("Order Details") == "a_OrderLines"
    assert naming.columns("Order Details", ["Qty", "UnitPrice"]).names == {
        "Qty": "Quantity",
        "UnitPrice": "unit_price",
    }


def test_two_names_that_would_be_one_are_refused_both_named() -> None:
    """With the way out."""
    with pytest.raises(
        ConfigError, match="columns 'a b' and 'a_b' of table 't' would both be called 'a_b'"
    ) as met:
        named(Naming("snake"), [table("t", "a b", "a_b")])
    assert '"t.a_b" = "..."' in met.value.hint
    with pytest.raises(ConfigError, match="tables 'Order Details' and 'OrderDetails' would both be"):
        named(
            Naming("snake"), [table("Order Details"), table("OrderDetails"), table("users_"), table("Users")]
        )


def test_all_of_them_are_found_at_once() -> None:
    """The check tells each pair."""
    met = problems(Naming("snake"), [table("A B", "x y", "x-y", "x/y"), table("a-b"), table("c", "D", "d")])
    assert len(met) == 4


def test_a_rename_resolves_it() -> None:
    """Whichever of the two is renamed; and one to a name that is there already is the same mistake."""
    tables = [table("t", "a b", "a_b")]
    for key in ("t.a b", "t.a_b"):
        assert named(Naming("snake", renames={key: "other"}), tables)["t"].columns[key[2:]] == "other"
    with pytest.raises(ConfigError, match="'a b' and 'a_b' of table 't' would both be called 'a_b'"):
        named(Naming(renames={"t.a b": "a_b"}), tables)


@pytest.mark.parametrize(
    ("key", "name", "told"),
    [
        ("nope", "x", "there is no such table or column"),
        ("t.nope", "x", "there is no such table or column"),
        ("T", "x", "there is no such table or column"),
        ("t.v", "xmin", "'xmin' is a name that PostgreSQL, or liteferry, keeps"),
        ("a.b", "x", "a table, and a column of another one"),
    ],
)
def test_a_rename_of_nothing_is_refused(key: str, name: str, told: str) -> None:
    """Most likely a typing error."""
    with pytest.raises(ConfigError, match=told):
        check_renames([table("t", "v"), table("a", "b"), table("a.b")], {key: name})


def test_a_rename_of_what_is_there_is_taken() -> None:
    """Tables and columns, and a table that two sources have."""
    check_renames([table("t", "v"), table("t")], {"t": "x", "t.v": "XMIN"})


def plan(one: Table, target: str) -> TablePlan:
    """Return the plan of a table that is on the target already."""
    return TablePlan(one, choose(one), "public", (), target=target)


def test_what_is_there_keeps_its_name_under_another_policy() -> None:
    """A restart with other settings renames nothing; what is new goes by them."""
    here = table("Users", "LastName", "FirstName")
    after = Following.of(Naming("snake"), {"Users": plan(here, "Users")}, ["NewTable"])
    names, notes = after.names(here, {"LastName": "LastName", "id": "id"})
    assert (names.table, names.columns) == (
        "Users",
        {"id": "id", "LastName": "LastName", "FirstName": "first_name"},
    )
    assert notes == []
    assert after.of_new(table("NewTable")).table == "new_table"


def test_a_column_whose_name_is_taken_gets_its_other_one() -> None:
    """It cannot be left out without losing its values, and nobody can be asked now."""
    here = table("t", "a b", "a-b")
    names, notes = Following.of(Naming("snake"), {"t": plan(here, "t")}, []).names(
        here, {"id": "id", "a b": "a_b"}
    )
    assert names.columns["a-b"] == alternative("a-b", "a_b")
    assert [note.what for note in notes] == ["column a-b"]


def test_a_renamed_table_whose_name_is_taken_gets_its_other_one() -> None:
    """By a table of its own source, or by anything else on the target."""
    before = {"A-B": plan(table("old"), "old"), "a b": plan(table("a b"), "a_b")}
    after = Following.of(Naming("snake"), before, [])
    assert after.names(table("A-B"), {})[0].table == alternative("A-B", "a_b")
    after = Following.of(Naming(), {"new": plan(table("old"), "old")}, [])
    after.give({"new"})
    names, notes = after.names(table("new"), {})
    assert names.table == alternative("new", "new")
    assert [(note.table, note.what) for note in notes] == [("new", "name")]


def test_names_of_tables_may_be_swapped() -> None:
    """In the end each has the one that it should."""
    before = {"a": plan(table("b"), "b"), "b": plan(table("a"), "a")}
    after = Following.of(Naming(), before, [])
    assert [after.names(table(name), {})[0].table for name in ("a", "b")] == ["a", "b"]


@pytest.mark.parametrize(
    ("new", "there"),
    [("A-B", ()), ("fresh", {"fresh"}), ("x y", ())],
    ids=["of a table of its own", "of something else on the target", "of another new one"],
)
def test_a_new_table_whose_name_is_taken_waits_for_another(new: str, there: set[str]) -> None:
    """The others stream on; the operator gives it a name."""
    after = Following.of(Naming("snake"), {"a b": plan(table("a b"), "a_b")}, ["X-Y", "A-B", "fresh", "x y"])
    after.give(there)
    with pytest.raises(Unsupported, match="which is taken"):
        after.of_new(table(new))


def test_a_new_table_with_two_columns_of_one_name_waits_too() -> None:
    """It is planned as at the start."""
    after = Following.of(Naming("snake"), {}, ["t"])
    with pytest.raises(Unsupported, match="would both be called 'a_b'"):
        after.of_new(table("t", "a b", "a_b"))
