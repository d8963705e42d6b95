"""Limits that no recipe sets. They stand apart from `config.py` so that what needs no recipe imports nothing for it."""

PIXEL_LIMIT = 178_956_970
"""Largest photo decoded, in pixels: where Pillow refuses one as a decompression bomb (twice 89,478,485)."""

CACHE_LIMIT = 20 * 10**9
CACHE_SHARE_OF_DISK = 0.1
"""Most that the caches may take: so many bytes, or this share of their disk if that is less."""

ARCHIVE_MEMBERS_LIMIT = 2_000_000
ARCHIVE_BYTES_LIMIT = 200 * 10**9
ARCHIVE_RATIO_LIMIT = 100
ARCHIVE_RATIO_FROM = 100 * 10**6
"""An archive may hold so many files, and may unpack to so many bytes, and to so many times its own size; the last one
counts from so many unpacked bytes on. Photos are compressed already, so archives hardly make them smaller."""

DOWNLOAD_LIMIT = 100 * 10**9
DOWNLOAD_RETRIES = 4
DOWNLOAD_PAUSE = 0.5
DOWNLOAD_TIMEOUT = 30.0
"""Largest file fetched, in bytes; how often in a row a failed connection is tried again without a byte gained; seconds
before the first of these tries, doubled for each next one; seconds without an answer after which one has failed."""

UPLOAD_LIMIT = 30 * 10**6
UPLOAD_PIXELS = 60 * 10**6
REQUEST_LIMIT = 10**6
"""Largest photo that the web page takes, in bytes and in pixels (phones make up to 50 million), and longest request
beside uploads, in bytes."""
