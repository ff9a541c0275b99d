"""What the command line is made of: files that are read, the demonstration, errors in the words of a shell."""
