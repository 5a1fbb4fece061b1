"""Moving Fashion-MNIST as in OpenSTL: two pieces of clothing drift, bounce and overlap."""
