"""Modules that several heads share."""
