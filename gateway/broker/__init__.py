"""What mosquitto needs to let in only who belongs: certificates, an access list, and its configuration."""
