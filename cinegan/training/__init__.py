"""Training: the loop, its schedule, step, losses and checkpoints."""
