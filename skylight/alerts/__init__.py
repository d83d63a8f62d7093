"""Alert packets of ZTF: reading them, triplets of cutouts, real-bogus scores, and maps that explain the triplets."""
