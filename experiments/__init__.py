"""Scripts behind every table and figure; results/ holds what they wrote."""
