"""The engine of a newer ClickHouse behind the part of its HTTP interface that the sink uses; prints its port."""

import os
import re
import shutil
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from chdb import session

folder = tempfile.TemporaryDirectory()
engine = session.Session(folder.name)
# One session has one database at a time.
lock = threading.Lock()


def bytes_of(sql, form):
    result = engine.query(sql, form)
    return result.bytes() if result is not None and result.size() else b""


def insert(sql, rows):
    """The engine has no query with data behind it, so the data is in a file."""
    table, columns = re.fullmatch(r"INSERT INTO (\S+) \((.*)\) FORMAT RowBinary", sql).groups()
    of = f"database = currentDatabase() AND table = '{table.strip('`')}'"
    found = bytes_of(f"SELECT name, type FROM system.columns WHERE {of}", "TabSeparatedRaw").decode()
    types = dict(line.split("\t") for line in found.splitlines())
    names = [column.strip("`") for column in columns.split(", ")]
    structure = ", ".join(f"`{name}` {types[name]}" for name in names).replace("'", "\\'")
    with tempfile.NamedTemporaryFile() as file:
        file.write(rows)
        file.flush()
        engine.query(f"INSERT INTO {table} ({columns}) SELECT * FROM file('{file.name}', 'RowBinary', '{structure}')")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        parameters = parse_qs(urlparse(self.path).query)
        status, answer = 200, b""
        with lock:
            try:
                engine.query(f"USE `{parameters.get('database', ['default'])[0]}`")
                if "query" in parameters:
                    insert(parameters["query"][0], body)
                else:
                    sql, form = re.fullmatch(r"(.*?)(?: FORMAT (\w+))?\s*", body.decode(), re.DOTALL).groups()
                    answer = bytes_of(sql, form or "TabSeparated")
            except Exception as error:
                status, answer = 500, str(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
# Whoever started it holds the other end.
sys.stdin.read()
# The engine's threads go on, and Python would wait for them, or fail to remove what they still write.
shutil.rmtree(folder.name, ignore_errors=True)
os._exit(0)
