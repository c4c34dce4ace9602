"""Random changes, functions of seed, epoch and step; for feed and run."""
