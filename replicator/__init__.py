"""The engine: plan, snapshot, tail, apply, verify, cutover. Knows no HTTP, no command line, no signals."""
