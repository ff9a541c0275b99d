"""What other packages call things, and the line that says the same here."""
