"""Tables of the parts of a product: its variants, attributes and pictures, one row each."""
