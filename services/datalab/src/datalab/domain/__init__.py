"""What datalab decides, without input or output."""
