"""FITS files in and out: bounded, row by row where memory counts, lossless unless asked otherwise."""
