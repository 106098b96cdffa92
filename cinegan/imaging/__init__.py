"""Finding and cutting out the heart."""
