"""A first schema out of files or a database: what every record of them fits, and what the evidence is. Nothing is made up."""
