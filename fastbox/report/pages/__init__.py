"""One module for each page: what a job found, as data for a page."""
