"""A source's file: opened, recognised, replaced, known to the target."""
