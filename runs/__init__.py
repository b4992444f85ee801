"""Runs: trained side by side, summarised, kept in weights files."""
