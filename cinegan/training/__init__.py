"""Training: the loop, its schedule, step, losses and checkpoints."""

import os

# Before TensorFlow is loaded by any of them: its start-up notes are not for users; what goes wrong
# comes as an exception.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
