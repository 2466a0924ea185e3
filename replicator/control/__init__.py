"""What the operator orders while it runs, and what holds it back by itself."""
