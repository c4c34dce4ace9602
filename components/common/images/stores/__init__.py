"""Files behind addresses: https, s3, gs, hf; listed, and fetched whole in spite of the network."""
