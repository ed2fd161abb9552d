"""Numbers with their intervals, from scores and labels: numpy alone; what needs scipy imports it where it is called."""
