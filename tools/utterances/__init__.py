"""From hand-written lines to labelled examples."""
