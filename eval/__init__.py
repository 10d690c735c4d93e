"""From an OpenAI-compatible endpoint to a report: each module is one step, run as `python -m eval.<step>`."""
