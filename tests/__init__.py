"""Tests, by what they prove: unit (no I/O), integration, fidelity, fault, web, soak."""
