"""The network: where it comes from, how it is cut, how it is kept."""
