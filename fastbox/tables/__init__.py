"""Parquet in and out; the only room that imports pyarrow.

``schema`` says where a table keeps its boxes, ``source`` streams chunks of whole images, ``sink`` writes a file that
appears complete or not at all.
"""
