"""One chair as it stands in a clinic, in virtual time: patient, board, network, gateway and staff in one order."""
