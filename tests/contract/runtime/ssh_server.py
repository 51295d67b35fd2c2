"""An SSH server of Git repositories, run by the environment that has asyncssh: ``ssh_server.py FOLDER``.

FOLDER has the one key that may come in (``authorized``) and gets ``known_hosts``, last of all. It serves what Git's own
``git-upload-pack`` does, and nothing else.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import asyncssh  # type: ignore[import-not-found, unused-ignore]


def serve(process):  # type: ignore[no-untyped-def]
    command = process.command or ""
    if not command.startswith("git-upload-pack "):
        process.stderr.write(b"only git-upload-pack\n")
        process.exit(1)
        return
    with_env = {"env": {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}}
    asyncio.get_running_loop().create_task(run(process, command, with_env["env"]))


async def run(process, command, env):  # type: ignore[no-untyped-def]
    pipe = asyncio.subprocess.PIPE
    program = ["env", *(f"{key}={value}" for key, value in env.items()), "sh", "-c", command]
    git = await asyncio.create_subprocess_exec(*program, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
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
