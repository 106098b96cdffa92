"""Networks: one file per architecture, loaded by name; and the files of a trained pair."""

WEIGHTS = "generator.weights.h5"  # the moving average
DISCRIMINATOR_WEIGHTS = "discriminator.weights.h5"
RECORD = "model.json"
