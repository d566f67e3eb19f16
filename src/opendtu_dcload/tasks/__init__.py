"""What runs for ever beside the control loop."""
