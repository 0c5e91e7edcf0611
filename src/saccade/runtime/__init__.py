"""What any run needs; knows nothing of images."""
