"""Numbers with their intervals, from scores and labels. Numpy alone; scipy where it is called (``distributions``)."""
