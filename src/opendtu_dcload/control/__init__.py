"""From what is seen to what is commanded."""
