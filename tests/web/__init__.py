"""The HTTP side, and the dashboard in a real browser."""
