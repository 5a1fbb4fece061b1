"""Human3.6M: people who walk, sit, eat, phone ..., in the clips of OpenSTL's lists."""
