"""From results to the console, pages and CI."""
