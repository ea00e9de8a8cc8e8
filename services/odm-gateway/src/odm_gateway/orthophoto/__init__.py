"""The local orthophoto engine: overlapping nadir photos with GPS become a georeferenced mosaic."""
