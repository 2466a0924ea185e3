"""`python -m daemon.unit liteferry > systemd/liteferry.service`, and likewise `liteferry@`."""

from __future__ import annotations

import sys

from .text import PROGRAM, unit

if __name__ == "__main__":
    sys.stdout.write(unit(PROGRAM, instances=sys.argv[1:] == ["liteferry@"]))
