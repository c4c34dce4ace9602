"""Versions, aliases and the ledger of their moves; for run and what stands above this folder."""
