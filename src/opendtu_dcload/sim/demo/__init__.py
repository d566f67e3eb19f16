"""The program against a simulated plant in real time."""
