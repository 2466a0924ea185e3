"""The daemon killed, cut off, starved and deceived; each test ends with both sides compared."""
