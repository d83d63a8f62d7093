"""Galaxy Zoo 2 and its bars: catalogues, images, the volunteers' questions, heatmaps and bar lengths."""
