"""The left ventricle's outlines in single frames: a network, how it learns, what it is worth."""
