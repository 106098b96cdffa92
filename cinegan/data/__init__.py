"""Raw studies to cardiac cycles."""
