"""How much anyone may ask for: buckets, quotas, stamps. Pure."""
