"""What a person may set, how it is declared and how params.yaml is checked; all may come in."""
