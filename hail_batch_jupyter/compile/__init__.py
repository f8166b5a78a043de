"""What the user said becomes what is to run: pure, and the same each time."""
