"""A first schema out of files: what every record of them fits, and what the evidence is. Nothing is made up."""
