"""What the chips measure: a patient, a finger, an artery, and the air in the cuff."""
