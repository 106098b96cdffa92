"""Judging synthetic heartbeats against real ones."""
