"""One HTML file that shows runs side by side and needs no network: `save_page`.

It needs no extra package: charts are SVG written here, and frames and Gaussians travel as
compressed arrays that `explorer.js` draws on a canvas.
"""

from pdr_jax.report.html.content import Clip, Content, Frames, Run
from pdr_jax.report.html.page import TooLargeError, save_page

__all__ = ["Clip", "Content", "Frames", "Run", "TooLargeError", "save_page"]
