"""Prints, in hexadecimal, a file that a passphrase seals (docs/log-format.md), made by the `cryptography`
package alone: it holds the Logging key 00..1f and no Reading key."""

import hashlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MEMORY_KIB, ITERATIONS, LANES = 64, 3, 4
SALT, WRITE_SALT = bytes(range(16, 32)), bytes(range(160, 176))

master = Argon2id(
    salt=SALT, length=32, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
).derive(b"correct horse battery staple")
key = HKDF(SHA256(), 32, WRITE_SALT, b"truyvet passphrase file v1").derive(master)
header = (
    b"\x89TVP\r\n\x1a\n"
    + struct.pack("<HHIII", 1, 0, MEMORY_KIB, ITERATIONS, LANES)
    + SALT
    + WRITE_SALT
)
payload = b"\x01" + bytes(range(32)) + bytes(32)
body = header + ChaCha20Poly1305(key).encrypt(bytes(12), payload, header)
print((body + hashlib.sha256(body).digest()).hex())
