"""Find what would go wrong before it costs a training run."""
