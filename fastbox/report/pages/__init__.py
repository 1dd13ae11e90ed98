"""One module for each page: the result of a job as data for a page."""
