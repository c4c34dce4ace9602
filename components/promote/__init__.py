"""Promote: evaluation, rules and champion → a verdict, a registered version, an alias."""
