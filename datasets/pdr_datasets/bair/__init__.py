"""BAIR robot pushing: a robot's arm pushes objects about on a table."""
