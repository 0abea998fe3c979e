"""The Numenta Anomaly Benchmark: our detector over its files, and its score by NAB's published rules."""
