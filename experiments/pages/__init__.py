"""What experiments/tables.py writes: one page a result, and the front that sums them up."""
