"""`check --step`: does the meter answer a step of each inverter?"""
