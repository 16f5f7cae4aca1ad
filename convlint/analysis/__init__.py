"""What a graph's shape tells beyond its counts: receptive fields, channel flow, neighbours."""
