"""Settings and the errors every room shares; no I/O beyond reading the configuration file."""
