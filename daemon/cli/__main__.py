"""`python -m daemon.cli`: the command without the script that an installation makes."""

from __future__ import annotations

from . import main

main()
