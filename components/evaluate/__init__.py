"""Evaluate: model and test split → predictions, metrics, report."""
