"""Import Keras on its backend, without the wall of start-up messages.

Import `keras` from here, inside the function that needs it: it costs seconds.
"""

from __future__ import annotations

import logging
import os

# Both must be set before the first import of TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors that matter still raise
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
logging.getLogger("absl").setLevel(logging.ERROR)

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

__all__ = ["keras", "tf"]
