"""The form in which a version serves, and the proof that it answers; for registry and above."""
