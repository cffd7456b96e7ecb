"""What travels: framing, every declared message, every stored object. No I/O."""
