"""What the biomedical engineer runs at the bench."""
