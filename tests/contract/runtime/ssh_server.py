"""An SSH server of Git repositories, run by the environment that has asyncssh: ``ssh_server.py FOLDER``.

FOLDER has the one key that may come in (``authorized``) and gets ``known_hosts``, last of all. It serves what Git's own
``git-upload-pack`` does, and nothing else.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import asyncssh  # type: ignore[import-not-found, unused-ignore]

tasks: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected


def serve(process: Any) -> None:
    command = process.command or ""
    if not command.startswith("git-upload-pack "):
        process.stderr.write(b"only git-upload-pack\n")
        process.exit(1)
        return
    task = asyncio.get_running_loop().create_task(run(process, command))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def run(process: Any, command: str) -> None:
    pipe = asyncio.subprocess.PIPE
    anybody = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    git = await asyncio.create_subprocess_exec(
        "sh", "-c", command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env={**os.environ, **anybody}
    )
    await process.redirect(stdin=git.stdin, stdout=git.stdout)
    process.exit(await git.wait())


async def main(folder: Path) -> None:
    host = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host],
        authorized_client_keys=str(folder / "authorized"),
        process_factory=serve,
        encoding=None,
    )
    port = server.get_port()
    partial = folder / "known_hosts.part"
    partial.write_text(f"[127.0.0.1]:{port} {host.export_public_key().decode()}")
    partial.rename(folder / "known_hosts")
    await server.wait_closed()


asyncio.run(main(Path(sys.argv[1])))
