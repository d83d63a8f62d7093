"""Published architectures, one module each, all of them functional Keras models."""
