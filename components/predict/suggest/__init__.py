"""Which unlabelled photos to label first: one pass of a model, a choice, a page; for commands."""
