"""What `liteferry check` and `doctor` look at, on both sides and in the rows."""
