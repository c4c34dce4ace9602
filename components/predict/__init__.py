"""Predict: a registered model and any images → predictions; also what the served model runs."""
