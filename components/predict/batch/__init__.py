"""Answers to very many images: a listing, partitions, a summary; for commands and the cluster."""
