"""The target's schema: its DDL and the statements that change its rows, as pure text."""
