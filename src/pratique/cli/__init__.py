"""What people type and read. Nothing is decided here: commands call the floors below and lay out what they say."""
