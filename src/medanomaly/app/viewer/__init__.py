"""One image as the viewer shows it: window, heat map, outline, header and the scores of a video.

Look first into :mod:`.scored_view`, which joins the pieces; each other module makes one.
"""
