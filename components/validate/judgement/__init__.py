"""From a manifest to findings and a verdict, Great Expectations inside; for run alone."""
