"""Light curves: reading any survey's layout, dmdt images, features, periods, and maps that explain the images."""
