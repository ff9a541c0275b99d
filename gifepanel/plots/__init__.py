"""Pictures of results, drawn with matplotlib where it is installed."""
