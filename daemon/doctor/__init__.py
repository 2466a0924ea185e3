"""What a bug report needs, gathered without secrets and without rows."""
