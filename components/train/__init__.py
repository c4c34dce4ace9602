"""Train: shards → a fine-tuned model and its history."""
