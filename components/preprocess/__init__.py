"""Preprocess: manifest → leak-proof splits and shards that are ready to train on."""
