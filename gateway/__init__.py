"""The gateway: judges every reading the moment it arrives, keeps the record, and shows it."""
