"""The Berkeley Function Calling Leaderboard over any endpoint, beside its published scores."""
