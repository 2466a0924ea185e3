"""What becomes of schemas, columns and values on the way."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from config.values import Unit, check_column, check_name, check_prefix, check_schema_name, check_type

SchemaName = Annotated[str, AfterValidator(check_schema_name)]
ColumnName = Annotated[str, AfterValidator(check_column)]
TypeName = Annotated[str, AfterValidator(check_type)]
TargetName = Annotated[str, AfterValidator(check_name)]
Prefix = Annotated[str, AfterValidator(check_prefix)]


class Shape(BaseModel):
    """Hold the names, types and rules by which rows become rows of the target."""

    schema_name: SchemaName | None = Field(
        default=None,
        description="Schema of the target that all sources go to unless `schema_map` says otherwise. When "
        "unset: `public` for one source; for several, one schema each, named after the file.",
        examples=["app"],
    )
    schema_map: dict[str, SchemaName] = Field(
        default={},
        description="Schema for single sources: the file's name, its stem or its whole path, and the schema.",
        examples=[{"app.db": "app", "audit": "audit_log"}],
    )
    existing_tables: Literal["refuse", "adopt"] = Field(
        default="refuse",
        description="What to do when the target has tables of these names already. `refuse`: an error. "
        "`adopt`: empty ones are filled as they are, columns by name, with the types that they have; see "
        "`docs/howto/existing-schema.md`.",
    )
    leave_out: list[str] = Field(
        default=[],
        description="Columns that are not carried over because an adopted table of the target has none for "
        'them, as glob patterns over "table.column".',
        examples=[["orders.legacy_*", "*.row_hash"]],
    )
    names: Literal["exact", "lower", "snake"] = Field(
        default="exact",
        description="What tables and columns are called on the target. `exact`: as in the source, so that "
        "names with capitals or spaces stand in quotes ever after. `lower`: as PostgreSQL reads a name "
        "without quotes. `snake`: `OrderDetails`, `Order Details` and `order-details` become "
        "`order_details`. Two that would be one are an error before anything is touched. What is on the "
        "target already keeps its name.",
    )
    prefix_map: dict[str, Prefix] = Field(
        default={},
        description="Prefix for the tables of single sources, so that files with tables of the same name can "
        "go to one schema: the file's name, its stem or its whole path, and the prefix.",
        examples=[{"app.db": "app_", "audit": "audit_"}],
    )
    rename: dict[str, TargetName] = Field(
        default={},
        description='Name on the target for single tables (`"table"`) and columns (`"table.column"`), in '
        "the spelling of the source, over the one that `names` would give. The prefix of `prefix_map` stands "
        "before that of a table as well. `docs/howto/names.md` tells when names must be given.",
        examples=[{"Order Details": "order_lines", "users.e-mail": "email"}],
    )
    profile: bool = Field(
        default=True,
        description="Look at the values in every column before planning, so that types fit what is stored "
        "and not only what is declared. Reads each table once.",
    )
    profile_rows: Annotated[int, Unit("rows")] = Field(
        default=0,
        ge=0,
        description="Look at so many rows of each table only, the first ones; 0: at all of them. A value "
        "further back that the type does not hold then goes into quarantine instead of deciding the type.",
    )
    columns: dict[ColumnName, TypeName] = Field(
        default={},
        description="PostgreSQL type for single columns, over the one that would be chosen, with the way "
        "in which values become it. `docs/howto/types.md` lists what each takes.",
        examples=[{"orders.total": "numeric", "events.at": "timestamptz from epoch_ms"}],
    )
    bad_values: dict[ColumnName, Literal["quarantine", "escape", "replace", "bytea", "text"]] = Field(
        default={},
        description="What becomes of values that a column cannot hold, by column or by glob pattern: "
        "`quarantine` (all that are not named), `escape` (text: NUL and what is not UTF-8 as `\\xHH`), "
        "`replace` (text, jsonb: U+FFFD instead), `bytea` (texts become bytes), `text` (numbers become their "
        "text). "
        "See `docs/howto/types.md`.",
        examples=[{"*.body": "escape", "upload.data": "bytea"}],
    )
    on_type_drift: Literal["quarantine", "widen"] = Field(
        default="quarantine",
        description="What to do when values come that the type of their column does not hold, as a text in a "
        "column of integers. `quarantine`: their rows are kept aside. `widen`: that, and then the column is "
        "altered to a type that holds all, `bigint` to `numeric` to `text`, and they are brought in; the "
        "stream rests while PostgreSQL writes the table anew. Never done to keys, to foreign keys, and to "
        "types set under `columns`.",
    )
    on_schema_change: Literal["follow", "halt"] = Field(
        default="follow",
        description="What to do when the application changes its schema. `follow`: the target's tables are "
        "changed likewise, triggers are put in again, and what may have been missed is read again. `halt`: "
        "the daemon ends with an error that names the table.",
    )
    on_bad_value: Literal["quarantine", "halt"] = Field(
        default="quarantine",
        description="What to do with a row that PostgreSQL cannot hold as it is: a text with NUL or not in "
        "UTF-8, a value of another type than the column's. `quarantine`: the row is kept aside with the "
        "reason, the others go on, and a cutover waits until the row is right or its absence accepted. "
        "`halt`: the daemon ends with an error that names table, key and column.",
    )
