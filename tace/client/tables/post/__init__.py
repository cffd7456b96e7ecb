"""What is to be sent."""
