"""The shared volume: what tasks put there once, and what one run remembers for the next."""
