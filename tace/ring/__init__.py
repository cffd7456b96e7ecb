"""The Chord ring: pointer rules, routing table and placement (pure); stabilise, join, gossip (procedures)."""
