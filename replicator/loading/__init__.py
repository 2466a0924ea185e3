"""The snapshot: tables created, copied in chunks by several processes, keyed."""
