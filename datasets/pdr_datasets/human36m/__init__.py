"""People who walk, sit, eat, phone ...: Human3.6M, in the clips of OpenSTL's lists."""
