"""Real proxies before a hub, each in a folder of its own."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.certificates import Issued
from tests.integration.hub.device import WAIT_S
from tests.real_parts import STREAM_MODULE, SYSTEM_PATH

HOST = "127.0.0.1"
POLL_S = 0.01
LONG_S = 60

NGINX = """
user root;
pid {folder}/pid;
error_log {folder}/error.log;
daemon off;
load_module {module};
events {{}}
"""
NGINX_HTTP = """
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    {listen}
    ssl_certificate {cert};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://127.0.0.1:{hub};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout {idle_s}s;
    }}
  }}
}}
"""
NGINX_STREAM = """
stream {{
  server {{
    {listen}
    ssl_certificate {cert};
    ssl_certificate_key {key};
    proxy_pass 127.0.0.1:{hub};
    proxy_protocol on;
    proxy_timeout {idle_s}s;
  }}
}}
"""
HAPROXY = """
defaults
  timeout connect {long_s}s
  timeout client {idle_s}s
  timeout server {idle_s}s
  timeout tunnel {idle_s}s
listen hub
  {listen}
"""
HAPROXY_TCP = "  mode tcp\n  server hub 127.0.0.1:{hub} send-proxy-v2\n"
HAPROXY_HTTP = "  mode http\n  option forwardfor\n  server hub 127.0.0.1:{hub}\n"


@dataclass(frozen=True)
class ProxyKind:
    """A program with a configuration: how it is started, told to reload, and where it listens."""

    command: tuple[str, ...]
    text: str
    listen: Callable[[int, int, Path], tuple[str, str]]
    reload: signal.Signals


def _nginx_listen(plain: int, tls: int, pem: Path) -> tuple[str, str]:
    return f"listen {HOST}:{plain};", f"listen {HOST}:{tls} ssl;"


def _haproxy_listen(plain: int, tls: int, pem: Path) -> tuple[str, str]:
    return f"bind {HOST}:{plain}", f"bind {HOST}:{tls} ssl crt {pem}"


def _nginx(part: str) -> ProxyKind:
    return ProxyKind(("nginx", "-c"), NGINX + part, _nginx_listen, signal.SIGHUP)


def _haproxy(part: str) -> ProxyKind:
    return ProxyKind(("haproxy", "-W", "-f"), HAPROXY + part, _haproxy_listen, signal.SIGUSR2)


KINDS = {
    "nginx http": _nginx(NGINX_HTTP),
    "nginx stream": _nginx(NGINX_STREAM),
    "haproxy http": _haproxy(HAPROXY_HTTP),
    "haproxy tcp": _haproxy(HAPROXY_TCP),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class RealProxy:
    """One running proxy: it hands on what comes to ``plain``, and to ``tls``, which it decrypts."""

    kind: ProxyKind
    folder: Path
    issued: Issued
    hub: int
    idle_s: int = LONG_S
    plain: int = field(default_factory=free_port)
    tls: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    def configure(self) -> Path:
        pem = self.folder / "both.pem"
        pem.write_bytes(self.issued.cert.read_bytes() + self.issued.key.read_bytes())
        text = self.kind.text.format(
            folder=self.folder,
            module=STREAM_MODULE,
            listen="\n  ".join(self.kind.listen(self.plain, self.tls, pem)),
            cert=self.issued.cert,
            key=self.issued.key,
            hub=self.hub,
            idle_s=self.idle_s,
            long_s=LONG_S,
        )
        file = self.folder / "configuration"
        file.write_text(text)
        return file

    async def listens(self) -> None:
        """Wait until it accepts connections."""
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection(HOST, self.plain)
                except OSError:
                    assert self.process is not None
                    assert self.process.returncode is None, "the proxy ended"
                    await asyncio.sleep(POLL_S)
                else:
                    writer.transport.abort()
                    return

    async def reload(self) -> None:
        """Let it listen on another port, and keep the connections that it has."""
        self.plain = free_port()
        self.configure()
        assert self.process is not None
        self.process.send_signal(self.kind.reload)
        await self.listens()


@asynccontextmanager
async def running(proxy: RealProxy) -> AsyncIterator[RealProxy]:
    program, *options = proxy.kind.command
    found = shutil.which(program, path=SYSTEM_PATH)
    assert found is not None
    proxy.folder.mkdir()
    command = (found, *options, str(proxy.configure()))
    proxy.process = await asyncio.create_subprocess_exec(*command, cwd=proxy.folder, stderr=asyncio.subprocess.DEVNULL)
    try:
        await proxy.listens()
        yield proxy
    finally:
        if proxy.process.returncode is None:
            proxy.process.terminate()
        await proxy.process.wait()
