"""`tutelage report`: what a release was certified for, and what has been seen of it since, on one page."""
