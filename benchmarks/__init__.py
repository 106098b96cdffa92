"""Speed, measured beside public packages in one run: `python -m benchmarks NAME [--json]`."""
