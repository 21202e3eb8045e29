"""What good data is: pure values and rules, without an engine, a file or a network."""

from pratique.schema.fields import Check, Dialect, Field, FieldType, Reference, Schema

__all__ = ["Check", "Dialect", "Field", "FieldType", "Reference", "Schema"]
