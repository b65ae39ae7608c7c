"""Raw recordings to one-second TFRecords; run from the checkout."""
