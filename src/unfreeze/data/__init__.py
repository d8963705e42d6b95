"""From a folder of photos to splits, pixels and views; knows nothing of networks."""
