"""What tace must stand, proven on real processes, real TLS and real SQLite, over loopback."""
