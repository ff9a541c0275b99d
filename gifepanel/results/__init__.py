"""What a user holds after ``fit``: one file per model, and what only fits have."""
