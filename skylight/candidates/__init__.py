"""Supernova candidates of HiTS: reading their stamps, explaining them with LRP, and drawing both."""
