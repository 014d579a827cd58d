"""The HTTP service and its web page: a room that is reserved for them, over the same functions as the command line."""
