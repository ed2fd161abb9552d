"""Archives of images: inputs found, scored and written as records, one line each."""
