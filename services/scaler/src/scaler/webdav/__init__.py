"""WebDAV mode: images of a raw folder are scaled into another one, and lost never."""
