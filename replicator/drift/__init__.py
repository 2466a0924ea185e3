"""Schema changes of the application, followed while streaming."""
