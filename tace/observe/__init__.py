"""What an operator sees: metrics, health, the security log."""
