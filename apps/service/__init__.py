"""The networks of this repository over HTTP: predictions, and the maps that explain them."""
