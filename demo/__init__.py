"""The demonstration: `make demo`. Sets a cluster up, tells the whole story on it, and says where to look next."""
