"""From the files of protocols and of a clinic's own values to `core.protocol` types, checked."""
