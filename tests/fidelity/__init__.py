"""What the source had is what the target has: random applications against the capture and the engine."""
