"""What tools/ and eval/ share: records, schemas, matchers, call readers, thoughts, files, recipes, user errors."""
