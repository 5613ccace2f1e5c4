"""What the review page shows and records: the queue of open photos, their pictures, the table columns, the nights."""
