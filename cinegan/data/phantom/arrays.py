"""The kinds of array that the phantom is computed with."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]  # geometry
Image = npt.NDArray[np.float32]  # anything by pixel
