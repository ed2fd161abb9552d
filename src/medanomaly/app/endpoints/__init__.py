"""The addresses that the browser asks: pictures, images, worklist, marks and uploads.

Look first into :mod:`.routes`, which lists them; :mod:`.asking` reads a request, the other modules answer.
"""
