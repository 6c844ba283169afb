"""The manual pages, zcluster(1) and zcluster.toml(5), made from the commands' and the schema's own tables.

What must hold: pure; nothing is said twice by hand: names, options and help are those that the program itself
prints. Source: man(7); groff_man(7).
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from zcluster.config.reference import Section

FILES = (
    ("/etc/zcluster/zcluster.toml", "the cluster's file, see zcluster.toml(5)"),
    ("/etc/zcluster/cluster.key", "the cluster's secret, root's alone, mode 0600"),
    ("/etc/zcluster/event-socket.password", "the password of the switch's event socket, mode 0600"),
    ("/var/lib/zcluster", "what must survive a power cut: ballots, founding, journal, recording"),
    ("/run/zcluster/control.sock", "where the commands ask the daemon"),
)
SEE_ALSO = "zcluster.toml(5), systemctl(1), fs_cli(1)"


def command_page(root: click.Group, version: str, date: str) -> str:
    """zcluster(1): what it is, every command with its options, files."""
    lines = _head("ZCLUSTER", 1, version, date)
    lines += [".SH NAME", "zcluster \\- floating addresses that stay up", ".SH SYNOPSIS"]
    lines += [".B zcluster", "\\fICOMMAND\\fR [\\fIOPTION\\fR]...", ".SH DESCRIPTION", _text(root.help or "")]
    lines += [
        ".PP",
        "Every command asks the daemon of the host that it is typed on. The service is zcluster.service.",
    ]
    lines += [".SH COMMANDS"]
    with click.Context(root, info_name="zcluster") as context:
        for words, command in commands_of(root, context):
            lines += _command(words, command)
    lines += [".SH FILES"]
    for path, about in FILES:
        lines += [".TP", f".I {_text(path)}", _text(about)]
    lines += [".SH EXIT STATUS", "0 done; 1 refused, the reason is printed; 3 the daemon cannot be asked."]
    lines += ["Commands that say more have it in their own paragraph.", ".SH SEE ALSO", SEE_ALSO]
    return "\n".join(lines) + "\n"


def file_page(sections: Iterator[Section], version: str, date: str) -> str:
    """zcluster.toml(5): every table and key."""
    lines = _head("ZCLUSTER.TOML", 5, version, date)
    lines += [".SH NAME", "zcluster.toml \\- the file of a cluster, the same bytes on every host"]
    lines += [".SH SYNOPSIS", ".I /etc/zcluster/zcluster.toml", ".SH DESCRIPTION"]
    lines += [
        "TOML. An unknown key is an error. Secrets are never in it, only the paths of their files.",
        ".PP",
    ]
    lines += [
        "\\fBzcluster init\\fR proposes a first one, \\fBzcluster check\\fR says what is wrong or dangerous in it."
    ]
    for section in sections:
        lines += [f".SH {_text(section.head)}", _text(section.about)]
        for key in section.keys:
            lines += [
                ".TP",
                f".B {_text(key.name)}",
                f"{_text(key.meaning)}.",
                ".br",
                f"\\fI{_text(key.type)}\\fR",
            ]
            lines[-1] += f"; default: {_text(key.default)}" if key.default not in ("", "(required)") else ""
            lines[-1] += "; required" if key.default == "(required)" else ""
    lines += [".SH EXAMPLE", ".nf", "[cluster]", 'name = "pbx"', "expected\\-nodes = 3", "", "[[link]]"]
    lines += ['name = "service"', 'role = "service"', 'network = "10.77.9.0/24"', 'multicast = "239.77.9.1"']
    lines += [
        "",
        "[[group]]",
        'name = "sip1"',
        'addresses = ["10.77.9.101/24"]',
        ".fi",
        ".SH SEE ALSO",
        "zcluster(1)",
    ]
    return "\n".join(lines) + "\n"


def commands_of(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it, groups' own commands in their group's place."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and not there"
        if command.hidden:
            continue
        with click.Context(command, info_name=name, parent=context) as inner:
            words = inner.command_path
            if isinstance(command, click.Group):
                yield from commands_of(command, inner)
            else:
                yield words, command


def _head(name: str, section: int, version: str, date: str) -> list[str]:
    """Not hyphenated and not adjusted: a command must be found as it is typed."""
    comment = ".\\\" made from the program's own tables by packaging/pages.py"
    return [comment, f'.TH {name} {section} "{date}" "zcluster {version}"', ".nh", ".ad l"]


def _command(words: str, command: click.Command) -> Iterator[str]:
    yield ".SS"
    with click.Context(command, info_name=words) as context:
        pieces = " ".join(command.collect_usage_pieces(context))
        yield _text(f"{words} {pieces}")
        for paragraph in (command.help or "").split("\n\n"):
            yield from (_text(" ".join(paragraph.split())), ".PP")
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and "--help" not in parameter.opts:
                yield from (".TP", f".B {_text(record[0])}", _text(" ".join(record[1].split())) or "\\&")


def _text(words: str) -> str:
    """Nothing of it steers roff; hyphens as they are typed."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    escaped = escaped.replace("|", "|\\:")  # a long list of choices may be broken there
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
