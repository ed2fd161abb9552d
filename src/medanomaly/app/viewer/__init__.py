"""One image as the viewer shows it: window, heat map, outline, header and the scores of a video."""
