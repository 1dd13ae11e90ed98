"""Pages: figures, plots, tables and examples in one HTML file that opens anywhere (the extra ``report``)."""
