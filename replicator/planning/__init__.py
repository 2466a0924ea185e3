"""The plan of a source: what its tables become on the target, and the evidence for it."""
