"""The log: its form, its destination, and that no secret gets through."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from daemon.log import CHATTY, Format, configure


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Put the process-wide set-up back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*CHATTY, "watchdog")}
    with warnings.catch_warnings():
        yield
        logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def stream() -> io.StringIO:
    """Give where the log goes; not a terminal."""
    return io.StringIO()


def last(stream: io.StringIO) -> dict[str, Any]:
    """Return the last line as the object it holds."""
    entry: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return entry


def test_a_line_is_an_event_with_key_values(stream: io.StringIO) -> None:
    """JSON where nobody watches: event, level, logger, time, and what was given."""
    configure(stream=stream)

    structlog.get_logger("replicator").info("batch applied", rows=7, source="app.db", seconds=0.5, ok=True)

    entry = last(stream)
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {
        "event": "batch applied",
        "level": "info",
        "logger": "replicator",
        "rows": 7,
        "source": "app.db",
        "seconds": 0.5,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("form", "terminal", "json_expected"),
    [
        ("auto", False, True),
        ("auto", True, False),
        ("json", True, True),
        ("console", False, False),
    ],
)
def test_the_form_follows_the_setting_and_the_terminal(
    form: Format, terminal: bool, json_expected: bool
) -> None:
    """`auto` is pretty on a terminal only; colours are for terminals only."""
    stream = Terminal() if terminal else io.StringIO()
    configure(format=form, stream=stream)

    structlog.get_logger().info("hello", key=1)

    assert stream.getvalue().startswith("{") is json_expected
    if form == "console":
        assert "\x1b" not in stream.getvalue()


def test_the_log_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output stays free for what a command prints."""
    configure()

    structlog.get_logger().warning("to whom it may concern")

    out, err = capsys.readouterr()
    assert out == ""
    assert "to whom it may concern" in err


def test_libraries_come_out_in_the_same_form(stream: io.StringIO) -> None:
    """`logging` with its arguments, warnings of Python, and what they carry along."""
    configure(stream=stream)

    logging.getLogger("some.package").error("lost %d of %s", 2, "three")
    entry = last(stream)
    assert (entry["event"], entry["level"], entry["logger"]) == ("lost 2 of three", "error", "some.package")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    assert "old way" in last(stream)["event"]


def test_the_level_holds_for_all(stream: io.StringIO) -> None:
    """What is below it does not appear, of ours or of libraries."""
    configure("warning", stream=stream)

    structlog.get_logger().info("ours")
    logging.getLogger("theirs").info("theirs")

    assert stream.getvalue() == ""


@pytest.mark.parametrize("name", CHATTY)
def test_chatty_libraries_speak_only_when_something_is_wrong(stream: io.StringIO, name: str) -> None:
    """Unless everything is asked for."""
    configure("info", stream=stream)
    logging.getLogger(name).info("again")
    assert stream.getvalue() == ""

    configure("debug", stream=stream)
    logging.getLogger(name).info("again")
    assert "again" in stream.getvalue()


def test_setting_up_twice_does_not_double_the_lines(stream: io.StringIO) -> None:
    """The second call replaces the first."""
    configure(stream=io.StringIO())
    configure(stream=stream)

    structlog.get_logger().info("once")

    assert stream.getvalue().count("once") == 1


def test_context_is_bound_to_every_line(stream: io.StringIO) -> None:
    """What is bound in the task appears without being given."""
    configure(stream=stream)
    structlog.contextvars.bind_contextvars(source="app.db")

    structlog.get_logger().info("hello")

    assert last(stream)["source"] == "app.db"


class TestSecrets:
    password = "s3cret"
    url = f"postgresql://ferry:{password}@db/app"

    @pytest.mark.parametrize("form", ["json", "console"])
    def test_no_way_of_logging_lets_a_password_through(self, stream: io.StringIO, form: Format) -> None:
        """By name, in URLs, nested, in objects, in arguments, in events, in exceptions and their causes."""
        configure("debug", form, stream)
        log = structlog.get_logger()

        log.info("connecting", target=self.url, password=self.password, api_key=self.password.encode())
        log.info("options", options={"user": "ferry", "password": self.password, "urls": [self.url]})
        log.info("objects", secret=SecretStr(self.password), error=ConnectionError(f"no way to {self.url}"))
        log.info(f"event {self.url}")  # noqa: G004 - this is what is tested
        log.info("argument %s", self.url)
        logging.getLogger("library").warning("retrying %s", self.url)
        try:
            try:
                raise OSError(f"password={self.password} {self.url}")
            except OSError as error:
                raise ValueError(self.url) from error
        except ValueError:
            log.exception("failed")
            logging.getLogger("library").exception("failed")

        text = stream.getvalue()
        assert self.password not in text
        assert "ferry:***@db/app" in text
        assert text.count("ValueError") >= 2

    def test_what_is_no_secret_stays(self, stream: io.StringIO) -> None:
        """Masking spares numbers, None and names that only resemble a secret's."""
        configure(stream=stream)

        structlog.get_logger().info(
            "x", password=None, tokens_seen=5, target_password_file="/run/pw", key="k"
        )

        entry = last(stream)
        assert (entry["password"], entry["tokens_seen"], entry["key"]) == (None, 5, "k")
        assert entry["target_password_file"] == "/run/pw"

    def test_local_variables_are_not_printed(self, stream: io.StringIO) -> None:
        """A traceback shows code, not the rows that were in hand."""
        configure(format="console", stream=stream)
        row = "value of a cell"
        assert row
        try:
            raise ValueError
        except ValueError:
            structlog.get_logger().exception("failed")

        assert "Traceback" in stream.getvalue()
        assert stream.getvalue().count("value of a cell") == 0
