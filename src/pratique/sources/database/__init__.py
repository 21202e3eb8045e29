"""Rows of databases: copied out of one snapshot into a landed file, as the exact texts of their values."""
