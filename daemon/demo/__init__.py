"""The demonstration: a small application on SQLite that is moved to PostgreSQL while it works."""
