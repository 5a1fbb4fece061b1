"""Evaluation of a task's model: figures, controls, predictions on new data, pictures."""
