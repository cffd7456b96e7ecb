"""What an operator sees: metrics, and how late the event loop is."""
