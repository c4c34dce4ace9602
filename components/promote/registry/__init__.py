"""Versions, aliases and the ledger of their moves; for run, people, commands, history."""
