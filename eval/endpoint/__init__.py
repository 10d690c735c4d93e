"""Ask any OpenAI-compatible server, and start those that we serve ourselves."""
