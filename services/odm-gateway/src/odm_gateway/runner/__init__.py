"""Runs OpenDroneMap on one workspace and keeps account of it; Python 3.8 and its library are all it needs.

A workspace holds ``job.json`` (``options``, ``outputs``) and ``images/``, where the files beside the images
lie, too. It gets ``project/``, which is ODM's, ``console.log``, ``status.json`` and, at a good end,
``project/all.zip`` and ``assets.json``. Starting again on the same workspace goes on where it was left.

The modules import each other relatively and nothing else of ours: ``python -m odm_gateway.runner FOLDER``
packs them into one file for the stock image of ODM.
"""
