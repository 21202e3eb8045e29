"""A first schema out of files or a database: what every record fits, and what the evidence is. Nothing is made up."""
