"""Turn what was trained into what is served or published."""
