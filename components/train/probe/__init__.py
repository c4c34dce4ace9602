"""What is learnt on frozen features, the linear probe first; for records and run."""
