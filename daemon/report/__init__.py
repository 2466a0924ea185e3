"""The report of a verification as files: written, and looked at again."""
