"""Benchmarks of liteferry, run with `python -m bench`; docs/reference/benchmarks.md explains each figure."""
