"""The service under a real systemd, booted for it; a command of its own, `make test-systemd`."""
