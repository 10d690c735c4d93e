"""The openai backend of tools.augment: a large model writes utterances and, asked apart, labels each."""
