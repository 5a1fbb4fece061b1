"""Moving MNIST as in OpenSTL: two digits drift, bounce and pass over one another."""
