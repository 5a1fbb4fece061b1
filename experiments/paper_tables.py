"""Every table of the paper (arXiv 2606.31050): each row published, ours, or why it is empty.

    python -m experiments.paper_tables

`paper_tables.csv` names the rows and what was published; ours are the committed results of
`experiments.judge` and `experiments.backbones`, on the data that could be had.
"""

from experiments import tables
from experiments.pages import paper


def main() -> None:
    """Prints all tables."""
    print(paper.document(tables.load()))


if __name__ == "__main__":
    main()
