"""What must hold when files, recipes and archives are not what they should be."""
