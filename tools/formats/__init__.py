"""One module a data format, each a pure reader of one record; `conversation` is what they all read into."""
