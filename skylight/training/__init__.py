"""Training networks reproducibly: batches, splits, augmentation, checkpoints, and tracking."""
