"""What is reported of the plant: alarms and statistics."""
