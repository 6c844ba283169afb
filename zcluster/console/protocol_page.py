"""The diagram in docs/protocol.md, drawn from the table that the code itself follows.

    python -m zcluster.console.protocol_page docs/protocol.md     puts it between the page's two marks

What must hold: each row of the table is one arrow, and nothing else is drawn; a test compares the page with this.
"""

from __future__ import annotations

import sys
from pathlib import Path

from zcluster.control.ownership import ARMED_PHASES, OPEN_PHASES, TRANSITIONS, Phase

BEGIN, END = "<!-- drawn from zcluster/control/ownership.py -->\n", "<!-- end of the drawing -->\n"


def diagram() -> str:
    """The tenure's phases as a state diagram of Mermaid; open ones are marked, and the armed ones of the rest."""
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.CLAIMING.name}"]
    for (before, cause), after in TRANSITIONS.items():
        target = "[*]" if after is Phase.GONE else after.name
        lines.append(f"    {before.name} --> {target}: {cause.name.lower().replace('_', ' ')}")
    lines += [
        "    classDef open fill:#b7e1b0,stroke:#2b6b22",
        "    classDef armed fill:#f4e7b4,stroke:#8a7420",
    ]
    for phase in Phase:
        if phase in OPEN_PHASES:
            lines.append(f"    class {phase.name} open")
        elif phase in ARMED_PHASES:
            lines.append(f"    class {phase.name} armed")
    return "\n".join(("```mermaid", *lines, "```", ""))


def with_diagram(page: str) -> str:
    """The page with the diagram between its marks. Raises ValueError where the marks are not there."""
    head, _, rest = page.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise ValueError(f"no place for the diagram: put {BEGIN.strip()!r} and {END.strip()!r} into the page")
    return f"{head}{BEGIN}{diagram()}{END}{tail}"


def main(path: Path) -> None:
    """Write the page anew."""
    path.write_text(with_diagram(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
