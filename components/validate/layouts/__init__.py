"""The ways photos lie in folders and tables: paths, labels, splits, groups; for run alone."""
