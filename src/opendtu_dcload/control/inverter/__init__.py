"""What is believed of one inverter."""
