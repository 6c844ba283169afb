"""`zcluster reader-key`: what a program needs to read what happens, and nothing with which it could speak.

What must hold: the file is for its owner alone; a name that the cluster's file does not let in gets no key.
"""

from __future__ import annotations

from pathlib import Path

import click

from zcluster.config.keyfile import load_key
from zcluster.config.load import load
from zcluster.config.private_file import write_private
from zcluster.errors import ConfigurationError, KeyFileError
from zcluster.reader.credential import credential_text
from zcluster.wire.keys import derive, observing, reader_pair


def run(config: Path, name: str, out: Path | None) -> int:
    """Write the credential of the reader `name` to `out`, or print it; 0. Raises ZclusterError."""
    configuration = load(config)
    readers = configuration.tools.readers
    if name not in readers:
        mend = f"its readers are {', '.join(readers)}" if readers else "it lets nobody in"
        raise ConfigurationError(
            f"{config}: [tools] readers does not name {name!r}; {mend}. Add the name on every host first"
        )
    secret = load_key(configuration.key_file)
    used = observing(secret) if configuration.is_observing else secret
    keys = reader_pair(used, name)
    text = credential_text(
        configuration.name, name, derive(used).server.public, keys, configuration.tools.port
    )
    if out is None:
        click.echo(text, nl=False)
        return 0
    _write(out, text)
    click.echo(f"The key of the reader {name} stands in {out}, readable by its owner alone.")
    click.echo("Who has it can read what happens, calls and registrations too, and change nothing.")
    return 0


def _write(out: Path, text: str) -> None:
    try:
        write_private(out, text)
    except FileExistsError:
        raise KeyFileError(
            f"{out}: there is a file already; name another one, or take it away first"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{out}: the key cannot be written: {error.strerror}") from error
