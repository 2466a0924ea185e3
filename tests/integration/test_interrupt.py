"""Ctrl-C before a command has really begun ends it in silence with 130."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes import clean_environment, command

#: Stands in for a package that takes long to import, and says when it is asked for.
SLOW = "import signal, sys; sys.stdout.write('importing\\n'); sys.stdout.flush(); signal.pause()"


@pytest.mark.parametrize("verb", ["run", "check", "plan", "status", "cutover", "demo"])
def test_while_modules_are_imported(tmp_path: Path, verb: str) -> None:
    """Most of a command's first second."""
    (tmp_path / "pydantic_settings.py").write_text(SLOW)
    env = clean_environment()
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    pipe = subprocess.PIPE
    with subprocess.Popen(command(verb), env=env, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize("verb", ["run", "check", "plan"])
def test_while_settings_are_read(tmp_path: Path, verb: str) -> None:
    """Before there is a loop that would take the signal."""
    settings = tmp_path / "liteferry.toml"
    os.mkfifo(settings)
    line = command(
        verb, tmp_path / "app.db", "--target", "postgresql://nobody@127.0.0.1/x", "--config", settings
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(line, env=clean_environment(), stdout=pipe, stderr=pipe, text=True) as process:
        # returns once the command has opened it for reading
        with settings.open("w"):
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 130
        assert "Traceback" not in process.communicate()[1]
