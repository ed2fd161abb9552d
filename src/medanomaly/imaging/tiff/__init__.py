"""TIFF (revision 6.0, technical notes 1 to 3, and BigTIFF), read here rather than by OpenCV.

OpenCV 5.0 reads 8 bits by libtiff's RGBA functions, which leave a damaged strip black without a word and multiply by
alpha, and it lays samples that are stored apart into memory that it never fills. So directories, strips, predictors and
colours are read here, and damage is an error. OpenCV is asked for single strips of LZW and PackBits, where its answer
is checked, and of JPEG.
"""
