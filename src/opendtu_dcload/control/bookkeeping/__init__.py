"""What is told of the plant: alarms and statistics."""
