"""All settings of liteferry: one flat model, frozen once loaded; the fields are in `config/fields`, by theme.

In falling order of weight: keyword overrides (the command line), `LITEFERRY_*` variables, the TOML file, the
application's own `DATABASE_URL` and `SQLITE_DIR`, the defaults. Nothing is opened here but the configuration
file and the file with the password.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from . import layers
from .fields.amounts import Amounts
from .fields.hooks import Hooks
from .fields.limits import Limits
from .fields.reach import Reach
from .fields.rhythm import Rhythm
from .fields.scope import Scope
from .fields.shape import Shape
from .fields.target import Target
from .fields.throttle import Throttle
from .names import SHARED_NAMES, variable_of
from .problems import Given, in_words


# the last base comes first: pydantic takes the fields in the reverse order
class Settings(Hooks, Reach, Throttle, Limits, Rhythm, Amounts, Shape, Target, Scope, BaseSettings):
    """Hold every setting; `load` makes one, with the layers applied and errors put into words."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, case_sensitive=True
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the layers; the file is the one that the keyword `config` names."""
        own = {field: variable_of(field) for field in cls.model_fields if field != "config"}
        config = init_settings().get("config")
        file = (layers.TomlFile(settings_cls, Path(config)),) if config else ()
        shared = layers.Environment(settings_cls, SHARED_NAMES)
        return init_settings, layers.Environment(settings_cls, own), *file, shared


def origins(config: Path | None = None, **overrides: Any) -> Given:
    """Return where each setting that `load` returns was said."""
    file = layers.find_file(config, os.environ)
    return Given(layers.prepare_overrides(overrides), layers.TomlFile(Settings, file)() if file else (), file)


def load(config: Path | None = None, **overrides: Any) -> Settings:
    """Read, check and freeze the settings; ConfigError names the setting, its value and the rule it broke.

    *overrides* are settings by name (`schema` or `schema_name`); None and empty lists count as not given.
    """
    file = layers.find_file(config, os.environ)
    given = layers.prepare_overrides(overrides)
    try:
        settings = Settings(**{**given, "config": file} if file else given)
    except ValidationError as error:
        # not chained: the original carries the values, passwords among them
        in_file = layers.TomlFile(Settings, file)() if file else ()
        raise in_words(error, Given(given, in_file, file), Settings.model_fields) from None
    return settings.completed().with_token()
