"""Searches inside the frameworks that others run their trials with."""
