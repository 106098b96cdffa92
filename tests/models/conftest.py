"""Threads are set before the first tensor: they cannot change afterwards."""

from cinegan.training.runtime import configure

configure(threads=2)
