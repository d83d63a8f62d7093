"""Alerts of ZTF: packets, triplets of cutouts, real-bogus scores, explanations and their figures."""
