"""The container image, built and run; a command of its own, `make test-image`."""
