"""A real S3 server in one process, for tests: OpenStack Swift with its S3 API, on loopback only.

`python -W ignore swift_server.py FOLDER PORT` says one JSON line when it serves. Objects lie in FOLDER and outlive the
process, so a test may kill it and start it again on the same port. It checks signatures and checksums as a store does.
The rings are made anew at each start: one device, whose three servers listen on free ports.
"""

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

DEVICE = "disk"
FILTERS = {
    "catch_errors": "",
    "gatekeeper": "",
    "healthcheck": "",
    "listing_formats": "",
    "bulk": "",
    "s3api": "location = us-east-1\ns3_acl = false\ndns_compliant_bucket_names = false",
    "tempauth": "user_videoar_tester = {secret} .admin",
    "copy": "",
    "slo": "",
    "dlo": "",
    "versioned_writes": "allow_object_versioning = true",
    "symlink": "",
}
"""Between the socket and the proxy, in order, with their settings."""


class TokenCache:
    """What memcached does for a Swift cluster: remembers accounts, buckets and signatures for a while."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, **_: Any) -> Any:
        value, end = self._kept.get(key, (None, 0.0))
        return value if not end or end > time.time() else None

    def set(self, key: str, value: Any, serialize: bool = True, time: float = 0, **_: Any) -> bool:
        from time import time as now

        self._kept[key] = (json.loads(json.dumps(value)) if serialize else value, now() + time if time else 0.0)
        return True

    def incr(self, key: str, delta: int = 1, time: float = 0, **_: Any) -> int:
        value = max(0, int(self.get(key) or 0) + delta)
        self.set(key, value, time=time)
        return value

    def decr(self, key: str, delta: int = 1, time: float = 0, **_: Any) -> int:
        return self.incr(key, -delta, time)

    def delete(self, key: str, **_: Any) -> None:
        self._kept.pop(key, None)

    def get_multi(self, keys: list[str], *_: Any, **__: Any) -> list[Any]:
        return [self.get(key) for key in keys]

    def set_multi(self, mapping: dict[str, Any], *_: Any, serialize: bool = True, time: float = 0, **__: Any) -> None:
        for key, value in mapping.items():
            self.set(key, value, serialize, time)


def configure(folder: Path) -> None:
    """Swift's settings of the whole process, from our folder instead of /etc/swift."""
    path = folder / "swift.conf"
    path.write_text(
        "[swift-hash]\nswift_hash_path_prefix = tests\nswift_hash_path_suffix = tests\n"
        "[storage-policy:0]\nname = only\ndefault = yes\n"
    )
    from swift.common import storage_policy, utils
    from swift.common.utils import config

    utils.SWIFT_CONF_FILE = config.SWIFT_CONF_FILE = str(path)
    utils.HASH_PATH_PREFIX = utils.HASH_PATH_SUFFIX = b"tests"
    storage_policy.reload_storage_policies()


def start_backends(folder: Path) -> None:
    """Account, container and object server, and the rings that say where they listen."""
    from swift.account.server import AccountController
    from swift.common.ring import RingBuilder
    from swift.container.server import ContainerController
    from swift.obj.server import ObjectController

    (folder / "node" / DEVICE).mkdir(parents=True, exist_ok=True)
    settings = {"swift_dir": str(folder), "devices": str(folder / "node"), "mount_check": "false"}
    sockets = {name: eventlet.listen(("127.0.0.1", 0), backlog=1024) for name in ("account", "container", "object")}
    for name, socket in sockets.items():
        port = socket.getsockname()[1]
        place = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
        builder = RingBuilder(4, 1, 1)
        builder.add_dev({"region": 1, "zone": 1, "device": DEVICE, "weight": 1.0, **place})
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{name}.ring.gz"))
    eventlet.spawn(serve, sockets["account"], AccountController(settings))
    eventlet.spawn(serve, sockets["container"], ContainerController(settings))
    eventlet.spawn(serve, sockets["object"], ObjectController(settings, None))


def load_proxy(folder: Path, secret: str) -> Any:
    """The S3 front: the filters and the proxy server behind them."""
    from swift.common.wsgi import loadapp

    sections = [f"[filter:{name}]\nuse = egg:swift#{name}\n{extra}\n" for name, extra in FILTERS.items()]
    path = folder / "proxy.conf"
    path.write_text(
        f"[DEFAULT]\nswift_dir = {folder}\nlog_level = ERROR\n"
        f"[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\nallow_account_management = true\n"
        + "".join(sections).replace("{secret}", secret)
    )
    return loadapp(str(path), global_conf={"swift_dir": str(folder)})


def serve(socket: Any, app: Any) -> None:
    """Answer requests forever."""
    from eventlet import wsgi
    from swift.common.wsgi import SwiftHttpProtocol

    wsgi.server(socket, app, log_output=False, protocol=SwiftHttpProtocol, capitalize_response_headers=False)


def main() -> None:
    """Serve FOLDER on PORT; the secret of the only user comes on stdin."""
    folder, port, secret = Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.stdin.readline().strip()
    folder.mkdir(parents=True, exist_ok=True)
    os.setxattr(folder, "user.swift.probe", b"1")  # where objects' metadata goes; not every filesystem has it
    configure(folder)
    start_backends(folder)
    proxy, cache = load_proxy(folder, secret), TokenCache()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        environ["swift.cache"] = cache
        return proxy(environ, start_response)

    socket = eventlet.listen(("127.0.0.1", port), backlog=1024)
    print(json.dumps({"endpoint": f"http://127.0.0.1:{port}"}), flush=True)
    serve(socket, app)


if __name__ == "__main__":
    main()
