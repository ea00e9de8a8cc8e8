"""Scales images on WebDAV, in the object store and by hand, and loses none."""
