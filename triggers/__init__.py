"""Everything that lives in the source: structure, keys, change log, triggers, fence. Knows no PostgreSQL."""
