"""What one switch knows and does, as the cluster sees it: pure; switch events and records in, orders out."""
