"""Evaluation of a task's model: its figures, its controls, predictions on new data, pictures."""
