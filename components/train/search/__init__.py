"""Many runs of the room for better settings: `python -m components.train.search`; none comes in."""
