"""HTML pages, each from one of the templates beside."""
