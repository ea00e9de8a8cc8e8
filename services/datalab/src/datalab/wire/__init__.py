"""Requests and answers as clients of the observatory's datalab know them."""
