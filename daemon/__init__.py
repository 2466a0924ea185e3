"""The process: command line, supervisor, HTTP, metrics, service manager."""
