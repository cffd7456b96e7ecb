"""What the smoke tests are played on: nodes as processes, clients, counted copies, traces."""
