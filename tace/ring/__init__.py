"""The Chord ring: pointer rules, routing table, placement; stabilise, join, gossip."""
