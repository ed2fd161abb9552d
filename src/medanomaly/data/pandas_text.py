"""Make pandas keep text so that any file name fits.

A name is bytes to Linux. Those that are no UTF-8, as in archives from older Windows machines, stand in Python's text as
lone surrogates, which pandas 3 refuses where it keeps text in Arrow's arrays (``'utf-8' codec can't encode …``). Its
other way, Python's own text, takes them; so it is asked for wherever tables of images are made. Who has chosen a way
keeps it.
"""

import pandas as pd

if pd.get_option("mode.string_storage") == "auto":
    pd.set_option("mode.string_storage", "python")
