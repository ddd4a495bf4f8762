"""Measuring the labelling app."""
