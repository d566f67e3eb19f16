"""The message bus: connections, services, items."""
