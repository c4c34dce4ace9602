"""From bytes to pixels, measures and likeness, without a network or MLflow; all but train."""
