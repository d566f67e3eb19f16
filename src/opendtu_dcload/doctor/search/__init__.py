"""Who is in the network: found by announcements and by asking, with what each measures."""
