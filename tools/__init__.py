"""From seeds to rows: each module is one step, run as `python -m tools.<step>`."""
