"""The tail: the change log read, applied, pruned; lag and heartbeats."""
