"""MLflow alone, and what is kept while it is away; for train and the rooms after it."""
