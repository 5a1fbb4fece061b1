"""Two MNIST digits that drift, bounce and pass over one another: OpenSTL's Moving MNIST."""
