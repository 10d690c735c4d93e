"""From examples to the rows and cases that training and evaluation read."""
