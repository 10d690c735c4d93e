"""Before, during and after `llamafactory-cli train`."""
