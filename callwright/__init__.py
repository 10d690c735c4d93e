"""What tools/ and eval/ share: records, schemas, matchers, call grammars, files, recipes, user errors."""
