"""Typed specs of every file that a user writes; the only room that imports pydantic."""
