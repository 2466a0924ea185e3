"""The way back: what PostgreSQL has taken since the cutover, brought home to the source."""
