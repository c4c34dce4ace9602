"""The pages about the data that a person opens; for run and judgement."""
