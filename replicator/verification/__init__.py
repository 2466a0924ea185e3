"""Proof that both sides are equal, in the foreground and the background, and repair."""
