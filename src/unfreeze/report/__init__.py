"""Saved results in, tables and pictures out."""
