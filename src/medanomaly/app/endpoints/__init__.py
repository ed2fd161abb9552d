"""The addresses that the browser asks: pictures, images, worklist, marks and uploads."""
