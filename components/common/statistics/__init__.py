"""How sure a figure is; for validate, evaluate, promote and predict."""
