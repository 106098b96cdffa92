"""Does augmentation help? What a segmenter learns from few patients, with and without it."""
