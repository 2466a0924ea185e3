"""Expressions of SQLite said in PostgreSQL's words."""
