"""Tables of the elements of details: variants, attributes and pictures, one row each."""
