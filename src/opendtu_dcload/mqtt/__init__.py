"""The plant for a broker: what it does, what may be set, and how Home Assistant finds it. See docs/mqtt.md."""
