"""A stand-in for Google Cloud Storage: its JSON API, objects in memory.

Clients find it by STORAGE_EMULATOR_HOST (gcsfs, google-cloud-storage) and
TENSORSTORE_GCS_HTTP_URL (orbax's arrays): everything above HTTP is real. As on
the real one an object is written whole or not at all, and directories are
nothing but beginnings of names.
"""

import base64
import email
import hashlib
import http.server
import itertools
import json
import pathlib
import re
import sys
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

PROJECT = 'project'

# Objects on one page of a listing; fewer than a run has, so that pages are met.
_PAGE = 20


class FakeGcs:
  """The server.

  Attributes:
    objects: content by name, by bucket.
    url: of the server.
    requests: methods and paths, in order.
    refused: regular expression of the paths that are answered with 403.
  """

  def __init__(self) -> None:
    """Starts serving in a thread that ends with the process."""
    self.objects: dict[str, dict[str, bytes]] = {}
    self.generations: dict[tuple[str, str], int] = {}
    self.requests: list[str] = []
    self.refused = ''
    self.uploads: dict[str, tuple[str, str]] = {}
    self.numbers = itertools.count(1)
    self.lock = threading.RLock()
    handler = type('Handler', (_Handler,), {'store': self})
    server = _Server(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    self.url = f'http://127.0.0.1:{server.server_address[1]}'

  def bucket(self) -> 'Bucket':
    """A new, empty bucket."""
    name = f'bucket{next(self.numbers)}'
    self.objects[name] = {}
    return Bucket(self, name)

  def environment(self) -> dict[str, str]:
    """Environment variables that lead clients here."""
    return {
        'STORAGE_EMULATOR_HOST': self.url,
        'TENSORSTORE_GCS_HTTP_URL': self.url,
        'GOOGLE_AUTH_TOKEN_FOR_TESTING': 'token',
        'GOOGLE_CLOUD_PROJECT': PROJECT,
        # What gcsfs asks by gRPC: whether the bucket has real directories.
        'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false',
    }


class Bucket:
  """One bucket.

  Attributes:
    server: that it is on.
    url: gs:// and its name.
    objects: content by name.
  """

  def __init__(self, server: FakeGcs, name: str):
    """Names one that exists."""
    self.server = server
    self.url = f'gs://{name}'
    self.objects = server.objects[name]

  def names(self, pattern: str) -> list[str]:
    """Names that a regular expression fits whole."""
    with self.server.lock:
      return [name for name in self.objects if re.fullmatch(pattern, name)]

  def download(self, directory: pathlib.Path) -> None:
    """Copies everything to a disk."""
    with self.server.lock:
      for name, data in self.objects.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class _Server(http.server.ThreadingHTTPServer):
  daemon_threads = True

  def handle_error(self, *args: object) -> None:
    """Says nothing where a client hung up; other mistakes are printed."""
    if not isinstance(sys.exc_info()[1], ConnectionError):
      super().handle_error(*args)


class _Handler(http.server.BaseHTTPRequestHandler):
  """Answers one connection."""

  protocol_version = 'HTTP/1.1'
  # Head and body apart wait for each other's acknowledgement.
  wbufsize = -1
  disable_nagle_algorithm = True
  store: FakeGcs

  def log_message(self, *args: object) -> None:
    """Prints nothing."""

  def do_GET(self) -> None:
    """Metadata, content and listings."""
    self._handle('GET')

  def do_POST(self) -> None:
    """Uploads, copies and batches."""
    self._handle('POST')

  def do_PUT(self) -> None:
    """Content of resumable uploads."""
    self._handle('PUT')

  def do_DELETE(self) -> None:
    """Removals."""
    self._handle('DELETE')

  def _handle(self, method: str) -> None:
    body = self._body()
    with self.store.lock:
      self.store.requests.append(f'{method} {self.path}')
      if self.path.startswith('/batch/'):
        answer = self._batch(body)
      else:
        answer = self._respond(method, self.path, body)
    self._answer(*answer)

  def _body(self) -> bytes:
    if self.headers.get('Transfer-Encoding', '').lower() == 'chunked':
      chunks = []
      while size := int(self.rfile.readline().split(b';')[0], 16):
        chunks.append(self.rfile.read(size))
        self.rfile.readline()
      self.rfile.readline()
      return b''.join(chunks)
    return self.rfile.read(int(self.headers.get('Content-Length') or 0))

  def _answer(
      self, status: int, content: Any, headers: Mapping[str, str] | None = None
  ) -> None:
    data = content if isinstance(content, bytes) else json.dumps(
        content
    ).encode()
    data = b'' if status == 204 else data
    self.send_response(status)
    for name, value in (headers or {}).items():
      self.send_header(name, value)
    if 'Content-Type' not in (headers or {}):
      self.send_header('Content-Type', 'application/json')
    self.send_header('Content-Length', str(len(data)))
    self.end_headers()
    self.wfile.write(data)

  def _respond(self, method: str, target: str, body: bytes) -> tuple:
    """Status, content and headers."""
    parts = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    if self.store.refused and re.search(self.store.refused, target):
      return 403, _error(403, 'forbidden')
    match = re.fullmatch(
        r'(?P<kind>/upload|/download)?(?:/storage/v1|/resumable)/b/'
        r'(?P<bucket>[^/]+)(?:/o(?:/(?P<name>[^/]+)(?P<rest>/.*)?)?)?(?:/.*)?',
        parts.path,
    )
    if not match:
      return 404, _error(404, f'unknown path {target}')
    bucket = match['bucket']
    if bucket not in self.store.objects:
      return 404, _error(404, f'The specified bucket {bucket} does not exist.')
    name = urllib.parse.unquote(match['name'] or '')
    if match['kind'] == '/upload':
      return self._upload(bucket, query, body)
    if match['rest']:
      return self._copy(bucket, name, match['rest'])
    if name:
      return self._object(method, bucket, name, query)
    if '/o' in parts.path[len('/storage/v1/b/'):]:
      return 200, self._list(bucket, query)
    return 200, {'kind': 'storage#bucket', 'name': bucket, 'id': bucket}

  def _object(
      self, method: str, bucket: str, name: str, query: dict[str, str]
  ) -> tuple:
    objects = self.store.objects[bucket]
    if name not in objects:
      return 404, _error(404, f'No such object: {bucket}/{name}')
    if method == 'DELETE':
      if not self._allowed(bucket, name, query):
        return 412, _error(412, 'conditionNotMet')
      del objects[name]
      return 204, b''
    if query.get('alt') != 'media':
      return 200, self._metadata(bucket, name)
    return self._media(bucket, name)

  def _media(self, bucket: str, name: str) -> tuple:
    data = self.store.objects[bucket][name]
    headers = {
        'Content-Type': 'application/octet-stream',
        'x-goog-generation': str(self.store.generations[bucket, name]),
        'x-goog-hash': f'md5={_md5(data)}',
        'ETag': 'etag',
    }
    span = re.fullmatch(r'bytes=(\d*)-(\d*)', self.headers.get('Range', ''))
    if not span:
      return 200, data, headers
    first = int(span[1]) if span[1] else max(0, len(data) - int(span[2]))
    if first >= len(data):
      return 416, _error(416, 'requestedRangeNotSatisfiable')
    last = int(span[2]) if span[1] and span[2] else len(data) - 1
    last = min(last, len(data) - 1)
    del headers['x-goog-hash']
    headers['Content-Range'] = f'bytes {first}-{last}/{len(data)}'
    return 206, data[first:last + 1], headers

  def _list(self, bucket: str, query: dict[str, str]) -> dict[str, Any]:
    prefix, delimiter = query.get('prefix', ''), query.get('delimiter', '')
    found = {}
    for name in sorted(self.store.objects[bucket]):
      if not name.startswith(prefix):
        continue
      below, mark, _ = name[len(prefix):].partition(delimiter or '\0')
      key = prefix + below + mark if mark else name
      found[key] = bool(mark)
    if low := query.get('startOffset'):
      found = {key: folder for key, folder in found.items() if key >= low}
    if high := query.get('endOffset'):
      found = {key: folder for key, folder in found.items() if key < high}
    begin = int(query.get('pageToken') or 0)
    end = begin + min(_PAGE, int(query.get('maxResults') or _PAGE))
    page = list(found.items())[begin:end]
    answer = {
        'kind': 'storage#objects',
        'items': [
            self._metadata(bucket, key) for key, folder in page if not folder
        ],
        'prefixes': [key for key, folder in page if folder],
    }
    if end < len(found):
      answer['nextPageToken'] = str(end)
    return answer

  def _upload(
      self, bucket: str, query: dict[str, str], body: bytes
  ) -> tuple:
    if 'upload_id' in query:
      return self._resumed(query['upload_id'], body)
    kind, name = query['uploadType'], query.get('name', '')
    if kind == 'media':
      return self._write(bucket, name, body, query)
    if kind == 'multipart':
      head = f'Content-Type: {self.headers["Content-Type"]}\r\n\r\n'.encode()
      metadata, _ = email.message_from_bytes(head + body).get_payload()
      name = name or json.loads(metadata.get_payload())['name']
      return self._write(bucket, name, _content(body), query)
    name = name or json.loads(body)['name']
    number = str(next(self.store.numbers))
    self.store.uploads[number] = (bucket, name)
    target = f'{self.store.url}/upload/storage/v1/b/{bucket}/o'
    return 200, {}, {
        'Location': f'{target}?uploadType=resumable&upload_id={number}'
    }

  def _resumed(self, number: str, body: bytes) -> tuple:
    """A chunk of a resumable upload; nothing is visible before the last."""
    bucket, name = self.store.uploads[number]
    held = self.store.uploads.setdefault(f'{number} data', b'') + body
    self.store.uploads[f'{number} data'] = held
    span = re.fullmatch(
        r'bytes (?:\*|\d+-\d+)/(\d+|\*)',
        self.headers.get('Content-Range', f'bytes 0-0/{len(held)}'),
    )
    if span[1] == '*' or int(span[1]) > len(held):
      return 308, b'', {'Range': f'bytes=0-{len(held) - 1}'}
    return self._write(bucket, name, held, {})

  def _write(
      self, bucket: str, name: str, data: bytes, query: dict[str, str]
  ) -> tuple:
    if not self._allowed(bucket, name, query):
      return 412, _error(412, 'conditionNotMet')
    self.store.objects[bucket][name] = data
    self.store.generations[bucket, name] = next(self.store.numbers)
    return 200, self._metadata(bucket, name)

  def _allowed(self, bucket: str, name: str, query: dict[str, str]) -> bool:
    wanted = query.get('ifGenerationMatch')
    present = name in self.store.objects[bucket]
    generation = self.store.generations[bucket, name] if present else 0
    return wanted is None or int(wanted) == generation

  def _copy(self, bucket: str, name: str, rest: str) -> tuple:
    _, _, _, target_bucket, _, target = rest.split('/')
    if name not in self.store.objects[bucket]:
      return 404, _error(404, f'No such object: {bucket}/{name}')
    data = self.store.objects[bucket][name]
    written = self._write(
        target_bucket, urllib.parse.unquote(target), data, {}
    )[1]
    if rest.startswith('/copyTo'):
      return 200, written
    return 200, {'done': True, 'resource': written}

  def _batch(self, body: bytes) -> tuple:
    """Several requests in one."""
    head = f'Content-Type: {self.headers["Content-Type"]}\r\n\r\n'.encode()
    answers = []
    for part in email.message_from_bytes(head + body).get_payload():
      method, target, _ = part.get_payload().lstrip().split(' ', 2)
      target = re.sub('^https?://[^/]+', '', target)
      status, content, *_ = self._respond(method, target, b'')
      text = '' if status == 204 else json.dumps(content)
      number = part.get('Content-ID', '').strip('<>')
      answers.append(
          f'Content-Type: application/http\r\nContent-ID: <response-{number}>'
          f'\r\n\r\nHTTP/1.1 {status} x\r\nContent-Type: application/json\r\n'
          f'Content-Length: {len(text)}\r\n\r\n{text}\r\n'
      )
    text = ''.join(f'--part\r\n{answer}' for answer in answers) + '--part--\r\n'
    return 200, text.encode(), {
        'Content-Type': 'multipart/mixed; boundary=part'
    }

  def _metadata(self, bucket: str, name: str) -> dict[str, Any]:
    data = self.store.objects[bucket][name]
    path = f'/b/{bucket}/o/{urllib.parse.quote(name, safe="")}'
    return {
        'kind': 'storage#object',
        'name': name,
        'bucket': bucket,
        'size': str(len(data)),
        'generation': str(self.store.generations[bucket, name]),
        'metageneration': '1',
        'etag': 'etag',
        'md5Hash': _md5(data),
        'timeCreated': '2026-01-01T00:00:00.000Z',
        'updated': '2026-01-01T00:00:00.000Z',
        'storageClass': 'STANDARD',
        'selfLink': f'{self.store.url}/storage/v1{path}',
        'mediaLink': f'{self.store.url}/download/storage/v1{path}?alt=media',
    }


def _content(body: bytes) -> bytes:
  """Bytes of the second part, which the email package would take for text."""
  boundary = body[:body.index(b'\n')].rstrip()
  part = body.split(boundary)[2].lstrip()
  content = part[re.search(rb'\r?\n\r?\n', part).end():]
  return re.sub(rb'\r?\n$', b'', content)


def _error(status: int, message: str) -> dict[str, Any]:
  return {'error': {
      'code': status, 'message': message,
      'errors': [{'message': message, 'reason': message}],
  }}


def _md5(data: bytes) -> str:
  return base64.b64encode(hashlib.md5(data).digest()).decode()
