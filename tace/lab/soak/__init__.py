"""Many hours in a few minutes: steady honest load while a network is abused and its nodes die."""
