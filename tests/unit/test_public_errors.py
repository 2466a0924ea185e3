"""What the status shows of an error is for everybody, so it has no part of a row."""

from __future__ import annotations

from config.errors import SourceBusy, ValueRefused


def test_a_value_that_was_refused_is_told_without_its_key() -> None:
    """The log, which is the operator's own, has it."""
    error = ValueRefused("patients", "'Ada'", "born", "text", "'Ada' is no date")
    assert "Ada" in str(error)
    assert "Ada" not in error.public
    assert "'patients'" in error.public and "'born'" in error.public


def test_any_other_error_is_told_as_it_is() -> None:
    """Their texts name objects, numbers and rules."""
    assert SourceBusy("the lock was not free within 5 s").public == "the lock was not free within 5 s"
