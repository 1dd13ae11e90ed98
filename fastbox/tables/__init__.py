"""Parquet in and out.

``source`` plans the reading of a table by its footers, ``stream`` reads tables as chunks of whole images, and ``sink``
writes a file that appears complete or not at all.
"""
