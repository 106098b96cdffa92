"""Trained generators as a service: cycles on request, over HTTP or through MLflow."""
