"""What a run leaves for people, MLflow and a search; for run and search."""
