"""The page, its words and pictures, the card and the plots; for run alone."""
