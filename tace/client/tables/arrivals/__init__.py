"""What came, until it is dealt with."""
