"""Tapis: who somebody is, which systems they may read, what lies there.

Needs the extra ``shared[tapis]``. Import the modules themselves, and only where Tapis is really asked:
tapipy takes a fifth of a second to load.
"""
