"""The unit of the service manager: its text, what differs on a machine, and how it is put there."""
