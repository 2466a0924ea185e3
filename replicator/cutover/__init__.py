"""The cutover: its phases, its decision, and what comes behind it."""
