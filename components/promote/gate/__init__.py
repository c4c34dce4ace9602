"""From rules and evidence to a verdict, without registry or network; for all of promote."""
