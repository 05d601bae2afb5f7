"""Records of finished runs and the views of them."""
