"""One HTML page about a fit: tables, pictures, data, and the source that fits it again."""
