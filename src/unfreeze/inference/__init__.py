"""A finished run put to use: predictions, and photos with what the model says about them."""
