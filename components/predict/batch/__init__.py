"""Answers for very many images: a listing, answers a partition, a summary. For commands alone."""
