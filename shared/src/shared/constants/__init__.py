"""The constants of scaler and mover, as operators keep them: three secrets in Vault, or one JSON file.

``webdav``, ``scaler_constants`` and ``mover_constants`` each map keys to values. They are read anew every
``FLIGHTLINE_CONSTANTS_REFRESH``, so that a change needs no restart. What a setting says wins. No value is
ever in a message, a log line or a ``repr``::

    async with open_constants(settings) as constants:
        webdav = webdav_constants(settings, await constants.read(WEBDAV))
        mine = parse_constant(Mine, "my_constants", await constants.read("my_constants"), own, prefix="MY_")
"""

from shared.constants.constant import Constant, Names, parse_constant
from shared.constants.kept import Constants, ConstantsSource
from shared.constants.open import open_constants
from shared.constants.webdav import WEBDAV, WebdavConstants, webdav_constants

__all__ = [
    "WEBDAV",
    "Constant",
    "Constants",
    "ConstantsSource",
    "Names",
    "WebdavConstants",
    "open_constants",
    "parse_constant",
    "webdav_constants",
]
