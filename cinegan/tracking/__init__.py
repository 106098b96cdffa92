"""MLflow: the journal of what was trained, the registry of models. No other room speaks to it.

DVC's lock and the files in metrics/ are the truth; a stage restored from DVC's cache makes no run
here. So a fault of MLflow is told in one line and never stops a stage.
"""
