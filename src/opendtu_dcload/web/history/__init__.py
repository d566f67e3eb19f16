"""What was: the last hour and day in memory, what happened in them, and the last days on disk."""
