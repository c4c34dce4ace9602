"""Records on disk: written, streamed, read one by one; for preprocess, train and evaluate."""
