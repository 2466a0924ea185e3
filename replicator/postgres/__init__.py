"""The target: connections to it, and what liteferry keeps there."""
