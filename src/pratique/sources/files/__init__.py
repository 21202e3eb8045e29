"""Files as sources: patterns, one scan of the bytes, and a module per format."""
