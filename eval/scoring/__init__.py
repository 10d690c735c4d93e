"""From cases and predictions to verdicts, counts and figures; pure functions."""
