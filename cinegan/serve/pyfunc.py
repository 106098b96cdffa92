"""How MLflow loads a registered generator: its `loader_module`, so that no pickle is needed.

Wherever cinegan is installed, `mlflow.pyfunc.load_model("models:/NAME@ALIAS")` finds this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cinegan.errors import CineganError
from cinegan.serve.model import Asked, Served

MOST = 1000  # cycles at once: MLflow's server would take any number, and be busy for good


class Cycles:
    """What MLflow calls: a table of numbers of cycles and seeds to cycles."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def predict(self, asked: pd.DataFrame, params: Any = None) -> np.ndarray:
        """Draw cycles.

        Parameters
        ----------
        asked : DataFrame
            With columns n and seed; the cycles of its rows stand one after the other.

        Returns
        -------
        ndarray of uint8, shape (sum of n, H, W, T)

        Raises
        ------
        CineganError
            If they are more than 1,000 in all.
        """
        rows = [
            Asked(n=n, seed=seed)
            for n, seed in zip(asked["n"].tolist(), asked["seed"].tolist(), strict=True)
        ]
        if sum(row.n for row in rows) > MOST:
            raise CineganError(f"n: at most {MOST} cycles at once")
        waiting = [self._served.submit(row) for row in rows]
        return np.concatenate([each.result()["cycles"] for each in waiting])


def _load_pyfunc(path: str) -> Cycles:
    return Cycles(Served(Path(path)))
