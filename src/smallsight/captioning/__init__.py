"""Captions for data sets: pictures in folders, tar files and tables in, one row for each picture out."""
