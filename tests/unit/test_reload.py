"""A reload takes over what may change, refuses the rest, and changes nothing when the file is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.reload import CHANGEABLE, differences, shown, take_over
from config.settings import Settings, load
from daemon.reload import Reload

URL = "postgresql://ferry@db/app"


def written(path: Path, text: str) -> Path:
    """Write a configuration file."""
    path.write_text(f'target = "{URL}"\n{text}')
    return path


def test_only_settings_can_be_changeable() -> None:
    """A field that was renamed would silently be taken at the next start only."""
    assert set(Settings.model_fields) >= CHANGEABLE


def test_where_it_goes_and_what_is_moved_cannot_change_while_it_runs() -> None:
    """These have become plans, connections and sockets."""
    fixed = {"config", "sources", "sqlite_dir", "exclude", "target", "schema_name", "columns", "names"}
    assert not CHANGEABLE & (fixed | {"existing_tables", "control", "http", "parallel", "batch_memory_mb"})


def test_differences_are_told_apart(tmp_path: Path) -> None:
    """Those that may be taken over with their values, the others by name."""
    now = load(written(tmp_path / "a.toml", 'max_pause = "5s"'))
    then = load(written(tmp_path / "a.toml", 'max_pause = "2s"\nparallel = 8\nheartbeat_interval = "1s"'))

    found = differences(now, then)

    assert found.changed == {"max_pause": 2.0, "heartbeat_interval": 1.0}
    assert found.refused == ("parallel",)
    take_over(now, found)
    assert (now.max_pause, now.heartbeat_interval, now.parallel) == (2.0, 1.0, 4)
    assert differences(now, then).changed == {}


def test_a_reload_takes_what_it_may_and_tells_of_the_rest(tmp_path: Path) -> None:
    """What is refused is a notice until it is right again."""
    file, told = written(tmp_path / "a.toml", ""), []
    settings = load(file)
    reload = Reload(settings, lambda: load(file), lambda: told.append(settings.max_pause))

    written(file, 'max_pause = "2s"\nschema = "other"')
    reload.run()
    assert (settings.max_pause, settings.schema_name, told) == (2.0, None, [2.0])
    assert len(reload.notices) == 1 and "'schema' has changed" in reload.notices[0]

    written(file, 'max_pause = "3s"')
    reload.run()
    assert (settings.max_pause, reload.notices) == (3.0, [])


@pytest.mark.parametrize("text", ["max_pause = ", 'max_pauze = "2s"', 'max_pause = "2s"\nparallel = 0'])
def test_a_broken_file_changes_nothing(text: str, tmp_path: Path) -> None:
    """Not even what would be right in it."""
    file = written(tmp_path / "a.toml", "")
    settings = load(file)
    before, told = settings.model_dump(), []
    reload = Reload(settings, lambda: load(file), lambda: told.append(1))

    written(file, text)
    reload.run()

    assert settings.model_dump() == before
    assert told == []
    assert len(reload.notices) == 1 and "stay in force" in reload.notices[0]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """A hook's command may hold one."""
    assert "hunter2" not in shown({"on_failed": "page --token hunter2"})
    target = load(written(tmp_path / "a.toml", "")).target
    assert shown(target) == "(hidden)"
