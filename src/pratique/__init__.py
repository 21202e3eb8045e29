"""Pratique: every record gets pratique, or is held in quarantine with its reasons."""
