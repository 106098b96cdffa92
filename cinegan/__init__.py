"""cinegan: reproducible generative models of the beating heart from cine MRI."""

__version__ = "0.1.0"
