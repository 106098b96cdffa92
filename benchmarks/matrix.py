"""A large matrix product of bfloat16, in GFLOP a second: the most that this machine can compute.

`python -m benchmarks.matrix` multiplies, to be measured in turn with others.
"""

from __future__ import annotations

from benchmarks.ours import THREADS
from benchmarks.timing import serve

SIDE = 4096


def main() -> None:
    """Answer every line with the rate."""
    from cinegan.training.runtime import configure

    configure(THREADS)
    from keras import ops

    matrix = ops.ones((SIDE, SIDE), "bfloat16")
    serve(lambda: float(ops.matmul(matrix, matrix)[0, 0]), 2e-9 * SIDE**3)


if __name__ == "__main__":
    main()
