"""What a measurement by repetition has to stay within, and the end of one that does not: status 1, naming the cells."""

import math
import sys
from dataclasses import dataclass, field


def allowed(runs: int, rate: float) -> float:
    """So many of the runs may fail where each does with probability `rate`: that share, and two standard errors."""
    return runs * rate + 2 * math.sqrt(runs * rate * (1 - rate))


@dataclass
class Findings:
    """Lines of tables, and in words what did not hold of them."""

    lines: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def need(self, holds: bool, words: str) -> None:
        """Keep the words where it does not hold."""
        if not holds:
            self.broken.append(words)

    def end(self) -> None:
        """Print the tables; raises SystemExit with status 1 where something did not hold."""
        print("\n".join(self.lines))
        if self.broken:
            print("\n".join(["", "NOT AS PROMISED:", *self.broken]), file=sys.stderr)
            raise SystemExit(1)
