"""`python -m tests.devices.recorded`: the table of all recordings, what is read of them, and whether that is right."""

from __future__ import annotations

import asyncio
import json
import sys

from tests.devices.recorded.replay import Row, recordings, replay


async def _rows() -> list[Row]:
    return [row for recording in recordings() async for row in replay(recording)]


def main() -> int:
    """Print the table; 0 when nothing is wrong."""
    rows = asyncio.run(_rows())
    for row in rows:
        read = json.dumps(row.read, ensure_ascii=False)
        print(f"{'ok' if row.is_right else 'WRONG':<6}{row.device} | {row.asked} | {read}")
        if not row.is_right:
            print(f"      expected: {json.dumps(row.expected, ensure_ascii=False)}")
    wrong = sum(not row.is_right for row in rows)
    print(f"{len(list(recordings()))} recordings, {len(rows)} readings, {wrong} wrong")
    return 1 if wrong else 0


sys.exit(main())
