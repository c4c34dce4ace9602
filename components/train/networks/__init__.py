"""From names to Keras models with weights; for all of train but what is fed to them."""
